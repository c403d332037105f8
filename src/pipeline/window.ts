/** What is inside the gateway and not yet on disk, bounded in messages and in bytes. */
export interface WindowLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/**
 * The in-flight window. It never refuses what has already been read from a socket (that is bounded by the sockets'
 * own buffers); it tells the sockets to stop reading when it is full and to go on when it is half empty.
 */
export class Window {
  readonly #limits: WindowLimits;
  readonly #listeners: ((open: boolean) => void)[] = [];
  #messages = 0;
  #bytes = 0;
  #open = true;
  /** How often the window has been full. */
  closings = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get open(): boolean {
    return this.#open;
  }

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Whether QoS 0 is shed. What sockets had read before they were told to stop still finds a place, up to an eighth more
   * than the window holds; where senders are not stopped that way, this is where it ends.
   */
  get overflowing(): boolean {
    const { messagesMax, bytesMax } = this.#limits;
    if (this.#open) return false;
    return this.#messages >= messagesMax + (messagesMax >> 3) || this.#bytes >= bytesMax + (bytesMax >> 3);
  }

  /** Called with `false` when the window fills up, with `true` when there is room again. */
  onChange(listener: (open: boolean) => void): void {
    this.#listeners.push(listener);
  }

  enter(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
    if (this.#open && (this.#messages >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax)) {
      this.closings++;
      this.#turn(false);
    }
  }

  leave(messages: number, bytes: number): void {
    this.#messages -= messages;
    this.#bytes -= bytes;
    if (!this.#open && this.#messages <= this.#limits.messagesMax / 2 && this.#bytes <= this.#limits.bytesMax / 2)
      this.#turn(true);
  }

  #turn(open: boolean): void {
    this.#open = open;
    for (const listener of this.#listeners) listener(open);
  }
}
