// The parts of a browser's EventSource that the snippets use; Node 20 has no EventSource.

export class EventSource {
  #listeners = new Map()
  #controller = new AbortController()

  constructor(url) {
    void this.#read(url).catch(error => {
      if (!this.#controller.signal.aborted) console.error(error)
    })
  }

  addEventListener(type, listener) {
    this.#listeners.set(type, listener)
  }

  close() {
    this.#controller.abort()
  }

  async #read(url) {
    const headers = { accept: 'text/event-stream' }
    const response = await fetch(url, { headers, signal: this.#controller.signal })
    let text = ''
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const type = /^event: (.*)$/m.exec(block)?.[1]
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (type !== undefined && data !== undefined) this.#listeners.get(type)?.({ type, data })
      }
    }
  }
}
