import { GraphQLEnumType, type GraphQLSchema } from 'graphql'
import type { Builder } from './builder.js'
import { text } from './describe.js'
import type { EnumNames } from './names/enum-names.js'
import { labelName } from './names/identifiers.js'

export type EnumRef = ReturnType<typeof addEnum>

/** Adds an enum of Postgres. Its internal values are the labels. */
export function addEnum(builder: Builder, { type, schema, name, values }: EnumNames) {
  return builder.enumType(type, {
    description: text(`The enum ${schema}.${name} of the database.`),
    values: Object.fromEntries(
      [...values].map(([value, label]) => [
        value,
        value === label
          ? { value: label }
          : { value: label, description: text(`The label ${JSON.stringify(label)}.`) },
      ]),
    ),
  })
}

/**
 * A label that was just added to the enum may arrive before the schema is built again. It is sent under the name that it will have
 * then; an error would make the row null, which tells a client that the row is gone.
 */
export function passNewLabels(schema: GraphQLSchema, enums: readonly EnumNames[]): void {
  for (const { type: name, values } of enums) {
    const type = schema.getType(name)
    if (!(type instanceof GraphQLEnumType)) continue
    const known = new Set(values.values())
    const serialize = type.serialize.bind(type)
    type.serialize = label => {
      if (typeof label !== 'string' || known.has(label)) return serialize(label)
      const value = labelName(label)
      return values.has(value) ? serialize(label) : value
    }
  }
}
