/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
/** What a statement did to a table, or what a stream that begins with the rows does. */
export type ChangeOperation =
  /** A row was deleted. A change of the primary key is a DELETE and an INSERT. */
  | 'DELETE'
  /** A row was added. */
  | 'INSERT'
  /** Only with `initial`: a row that matches when the subscription begins, or begins again after RESET. */
  | 'READ'
  /** Only with `initial`: all rows have arrived. From now on, changes arrive. */
  | 'READY'
  /** Only with `initial`: changes may have been missed, so the subscription begins again. Clear the list; the rows follow as READ, then READY. */
  | 'RESET'
  /** The whole table was emptied. */
  | 'TRUNCATE'
  /** A row was changed, or written again without a change. */
  | 'UPDATE';

/** Conditions on a column of this type; all must hold. */
export type DateTimeComparison = {
  /** Equal to this. */
  eq?: string | null | undefined;
  /** Greater than this. */
  gt?: string | null | undefined;
  /** Greater than or equal to this. */
  gte?: string | null | undefined;
  /** Equal to one of these; an empty list matches nothing. */
  in?: Array<string> | null | undefined;
  /** True: the value is null. False: it is not. */
  isNull?: boolean | null | undefined;
  /** Less than this. */
  lt?: string | null | undefined;
  /** Less than or equal to this. */
  lte?: string | null | undefined;
  /** Not equal to this. A null is neither equal nor unequal: use isNull. */
  neq?: string | null | undefined;
  /** Equal to none of these, and not null; an empty list matches everything. */
  notIn?: Array<string> | null | undefined;
};

/** Conditions on a column of this type; all must hold. */
export type FloatComparison = {
  /** Equal to this. */
  eq?: number | null | undefined;
  /** Greater than this. */
  gt?: number | null | undefined;
  /** Greater than or equal to this. */
  gte?: number | null | undefined;
  /** Equal to one of these; an empty list matches nothing. */
  in?: Array<number> | null | undefined;
  /** True: the value is null. False: it is not. */
  isNull?: boolean | null | undefined;
  /** Less than this. */
  lt?: number | null | undefined;
  /** Less than or equal to this. */
  lte?: number | null | undefined;
  /** Not equal to this. A null is neither equal nor unequal: use isNull. */
  neq?: number | null | undefined;
  /** Equal to none of these, and not null; an empty list matches everything. */
  notIn?: Array<number> | null | undefined;
};

/** Conditions on a column of this type; all must hold. */
export type IntComparison = {
  /** Equal to this. */
  eq?: number | null | undefined;
  /** Greater than this. */
  gt?: number | null | undefined;
  /** Greater than or equal to this. */
  gte?: number | null | undefined;
  /** Equal to one of these; an empty list matches nothing. */
  in?: Array<number> | null | undefined;
  /** True: the value is null. False: it is not. */
  isNull?: boolean | null | undefined;
  /** Less than this. */
  lt?: number | null | undefined;
  /** Less than or equal to this. */
  lte?: number | null | undefined;
  /** Not equal to this. A null is neither equal nor unequal: use isNull. */
  neq?: number | null | undefined;
  /** Equal to none of these, and not null; an empty list matches everything. */
  notIn?: Array<number> | null | undefined;
};

/** Conditions on the rows of table public.people. All must hold, with SQL's logic of true, false and unknown; {} matches every row. */
export type PeopleFilter = {
  /** Column age, integer. */
  age?: IntComparison | null | undefined;
  /** All of these hold; an empty list matches every row. */
  and?: Array<PeopleFilter> | null | undefined;
  /** Column height, real. NaN and Infinity, which JSON cannot hold, are null with an error. */
  height?: FloatComparison | null | undefined;
  /** Column name, text. */
  name?: StringComparison | null | undefined;
  /** This condition does not hold. If the condition is unknown, its negation is unknown too, and the row does not match. */
  not?: PeopleFilter | null | undefined;
  /** One of these holds; an empty list matches no row. */
  or?: Array<PeopleFilter> | null | undefined;
  /** Column pk, integer, not null. */
  pk?: IntComparison | null | undefined;
  /** Column ts, timestamp with time zone. */
  ts?: DateTimeComparison | null | undefined;
  /** What holds for the linked rows. */
  visits?: VisitsListFilter | null | undefined;
};

/** Conditions on a text; all must hold. Texts compare by code point. */
export type StringComparison = {
  /** Equal to this. */
  eq?: string | null | undefined;
  /** Greater than this. */
  gt?: string | null | undefined;
  /** Greater than or equal to this. */
  gte?: string | null | undefined;
  /** Like `like`, but ignores the case of the letters A to Z. */
  ilike?: string | null | undefined;
  /** Equal to one of these; an empty list matches nothing. */
  in?: Array<string> | null | undefined;
  /** True: the value is null. False: it is not. */
  isNull?: boolean | null | undefined;
  /** Matches this pattern of SQL: % stands for any text, _ for any character, \ escapes the next character. */
  like?: string | null | undefined;
  /** Less than this. */
  lt?: string | null | undefined;
  /** Less than or equal to this. */
  lte?: string | null | undefined;
  /** Not equal to this. A null is neither equal nor unequal: use isNull. */
  neq?: string | null | undefined;
  /** Equal to none of these, and not null; an empty list matches everything. */
  notIn?: Array<string> | null | undefined;
};

/** Conditions on the rows of table public.visits. All must hold, with SQL's logic of true, false and unknown; {} matches every row. */
export type VisitsFilter = {
  /** All of these hold; an empty list matches every row. */
  and?: Array<VisitsFilter> | null | undefined;
  /** This condition does not hold. If the condition is unknown, its negation is unknown too, and the row does not match. */
  not?: VisitsFilter | null | undefined;
  /** One of these holds; an empty list matches no row. */
  or?: Array<VisitsFilter> | null | undefined;
  /** There is a linked row, and this holds for it. */
  person?: PeopleFilter | null | undefined;
  /** Column person_id, integer, not null. */
  personId?: IntComparison | null | undefined;
  /** Column pk, integer, not null. */
  pk?: IntComparison | null | undefined;
  /** Column place, text. */
  place?: StringComparison | null | undefined;
  /** Column ts, timestamp with time zone. */
  ts?: DateTimeComparison | null | undefined;
};

/** Conditions on linked rows of table public.visits. All must hold. */
export type VisitsListFilter = {
  /** This holds for none of them; {}: there is none. */
  none?: VisitsFilter | null | undefined;
  /** This holds for at least one of them; {}: there is one. */
  some?: VisitsFilter | null | undefined;
};

export type ListenableQueryVariables = Exact<{ [key: string]: never; }>;


export type ListenableQuery = { channels: Array<string> };

export type SendMutationVariables = Exact<{
  channel: string;
}>;


export type SendMutation = { notify: boolean };

export type ListenSubscriptionVariables = Exact<{
  channel: string;
}>;


export type ListenSubscription = { channel: { payload: string | null } };

export type ChannelEventsSubscriptionVariables = Exact<{
  name: string;
}>;


export type ChannelEventsSubscription = { channel: { channel: string, payload: string | null, json: unknown, cursor: string | null, gap: boolean, at: string } };

export type SendNotifyMutationVariables = Exact<{
  channel: string;
  payload: string;
}>;


export type SendNotifyMutation = { notify: boolean };

export type LivePeopleSubscriptionVariables = Exact<{
  limit: number;
  places?: VisitsListFilter | null | undefined;
}>;


export type LivePeopleSubscription = { people: { rows: Array<{ pk: number, name: string | null, visits: Array<{ place: string | null, person: { name: string | null } | null }>, visitsAggregate: { count: string, avg: { pk: string | null } } }> } };

export type KeptPeopleSubscriptionVariables = Exact<{
  where?: PeopleFilter | null | undefined;
}>;


export type KeptPeopleSubscription = { peopleChanged: { operation: ChangeOperation, transaction: string, key: { pk: number } | null, row: { pk: number, name: string | null, age: number | null } | null } };


export const ListenableDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Listenable"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"channels"}}]}}]} as unknown as DocumentNode<ListenableQuery, ListenableQueryVariables>;
export const SendDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"Send"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"channel"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"notify"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"channel"},"value":{"kind":"Variable","name":{"kind":"Name","value":"channel"}}},{"kind":"Argument","name":{"kind":"Name","value":"payload"},"value":{"kind":"StringValue","value":"sent","block":false}}]}]}}]} as unknown as DocumentNode<SendMutation, SendMutationVariables>;
export const ListenDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"Listen"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"channel"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"channel"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"name"},"value":{"kind":"Variable","name":{"kind":"Name","value":"channel"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"payload"}}]}}]}}]} as unknown as DocumentNode<ListenSubscription, ListenSubscriptionVariables>;
export const ChannelEventsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"ChannelEvents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"name"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"channel"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"name"},"value":{"kind":"Variable","name":{"kind":"Name","value":"name"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"channel"}},{"kind":"Field","name":{"kind":"Name","value":"payload"}},{"kind":"Field","name":{"kind":"Name","value":"json"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"gap"}},{"kind":"Field","name":{"kind":"Name","value":"at"}}]}}]}}]} as unknown as DocumentNode<ChannelEventsSubscription, ChannelEventsSubscriptionVariables>;
export const SendNotifyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"SendNotify"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"channel"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"payload"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"notify"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"channel"},"value":{"kind":"Variable","name":{"kind":"Name","value":"channel"}}},{"kind":"Argument","name":{"kind":"Name","value":"payload"},"value":{"kind":"Variable","name":{"kind":"Name","value":"payload"}}}]}]}}]} as unknown as DocumentNode<SendNotifyMutation, SendNotifyMutationVariables>;
export const LivePeopleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"LivePeople"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"limit"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"places"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"VisitsListFilter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"people"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"where"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"visits"},"value":{"kind":"Variable","name":{"kind":"Name","value":"places"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"orderBy"},"value":{"kind":"ListValue","values":[{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"pk"},"value":{"kind":"EnumValue","value":"ASC"}}]}]}},{"kind":"Argument","name":{"kind":"Name","value":"limit"},"value":{"kind":"Variable","name":{"kind":"Name","value":"limit"}}},{"kind":"Argument","name":{"kind":"Name","value":"every"},"value":{"kind":"IntValue","value":"10"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"rows"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pk"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"visits"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"orderBy"},"value":{"kind":"ListValue","values":[{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"pk"},"value":{"kind":"EnumValue","value":"DESC"}}]}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"place"}},{"kind":"Field","name":{"kind":"Name","value":"person"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"visitsAggregate"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"count"}},{"kind":"Field","name":{"kind":"Name","value":"avg"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pk"}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<LivePeopleSubscription, LivePeopleSubscriptionVariables>;
export const KeptPeopleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"KeptPeople"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"where"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"PeopleFilter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"peopleChanged"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"initial"},"value":{"kind":"BooleanValue","value":true}},{"kind":"Argument","name":{"kind":"Name","value":"where"},"value":{"kind":"Variable","name":{"kind":"Name","value":"where"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"operation"}},{"kind":"Field","name":{"kind":"Name","value":"key"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pk"}}]}},{"kind":"Field","name":{"kind":"Name","value":"row"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pk"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"age"}}]}},{"kind":"Field","name":{"kind":"Name","value":"transaction"}}]}}]}}]} as unknown as DocumentNode<KeptPeopleSubscription, KeptPeopleSubscriptionVariables>;