// y-websocket lets its user choose the WebSocket class. This one tells what is sent, and changes nothing.

export function watchedSocket(onOpen: () => void, onSend: (frame: unknown) => void): typeof WebSocket {
  return class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols)
      onOpen()
    }

    override send(frame: Parameters<WebSocket['send']>[0]): void {
      onSend(frame)
      super.send(frame)
    }
  }
}
