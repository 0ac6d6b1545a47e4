// What became of this tab's own changes.

/** What a frame on its way to the server carries. */
export type Outgoing = 'answer' | 'update' | 'other'

/** SyncStep2 answers the server with all that it lacks; an update is one change; only these two are acknowledged. */
export function outgoingKind(frame: unknown): Outgoing {
  if (!(frame instanceof Uint8Array) || frame[0] !== 0) return 'other'
  if (frame[1] === 1) return 'answer'
  return frame[1] === 2 ? 'update' : 'other'
}

/**
 * Counts own changes until the server has settled them: made them durable, or refused them. Acknowledgements count
 * frames from the start of each connection, so the ledger keeps for each frame how many changes went with it.
 */
export class Ledger {
  /** Changes that no frame of this connection carries. */
  #uncarried = 0
  /** For each unsettled frame of this connection, in order: the changes it carries. */
  #frames: number[] = []
  #settled = 0
  #refused = 0
  /** Refusals of frames whose content went once more since, with an answer. */
  #repeated = 0

  /** Own changes whose fate isn't known. */
  get waiting(): number {
    return this.#frames.reduce((sum, changes) => sum + changes, this.#uncarried)
  }

  /** Frames of this connection whose fate isn't known. */
  get outstanding(): number {
    return this.#frames.length
  }

  /** Frames of this connection that the server refused, and whose content didn't go once more since. */
  get refused(): number {
    return this.#refused - this.#repeated
  }

  /** This tab changed the document. Must be noted before the frame that carries the change. */
  changed(): void {
    this.#uncarried += 1
  }

  sent(frame: unknown): void {
    const kind = outgoingKind(frame)
    if (kind === 'other') return
    // What was changed while cut off goes with the answer to the server's question, never with an update that
    // happens to be sent before that question comes.
    const carried = kind === 'answer' ? this.#uncarried : Math.min(1, this.#uncarried)
    this.#uncarried -= carried
    if (kind === 'answer') this.#repeated = this.#refused
    this.#frames.push(carried)
  }

  acknowledged(durable: number, refused: number): void {
    const settled = Math.max(this.#settled, durable + refused)
    this.#frames.splice(0, settled - this.#settled)
    this.#settled = settled
    this.#refused = refused
  }

  /** A connection starts, or ended: what was on its way has to be sent again. */
  reset(): void {
    this.#uncarried = this.waiting
    this.#frames = []
    this.#settled = 0
    this.#refused = 0
    this.#repeated = 0
  }
}
