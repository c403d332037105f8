import { WebSocket } from 'ws';
import { type ClientFrame, ServerFrame } from '../../src/contract/live.ts';

type Op = ServerFrame['op'];
type FrameOf<O extends Op> = Extract<ServerFrame, { op: O }>;

/** A WebSocket client that keeps every frame, each validated against the contract. */
export class LiveTestClient {
  readonly frames: ServerFrame[] = [];
  readonly socket: WebSocket;
  closed: { code: number; reason: string } | null = null;
  #fault: Error | null = null;
  #taken = 0;
  #notify: (() => void) | null = null;
  readonly #onFrame: ((frame: ServerFrame) => void) | undefined;

  private constructor(socket: WebSocket, onFrame?: (frame: ServerFrame) => void) {
    this.socket = socket;
    this.#onFrame = onFrame;
    socket.on('message', (message: Buffer) => {
      const parsed = ServerFrame.safeParse(JSON.parse(message.toString()));
      if (parsed.success) {
        this.frames.push(parsed.data);
        this.#onFrame?.(parsed.data);
      } else {
        this.#fault = new Error(`not a frame of the contract: ${message.toString().slice(0, 300)}`);
      }
      this.#notify?.();
    });
    socket.on('error', () => {});
    socket.on('close', (code: number, reason: Buffer) => {
      this.closed = { code, reason: reason.toString() };
      this.#notify?.();
    });
  }

  /** Connects; a frame may already have come when this resolves. */
  static async connect(url: string, onFrame?: (frame: ServerFrame) => void): Promise<LiveTestClient> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const client = new LiveTestClient(socket, onFrame);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('error', reject);
    });
    return client;
  }

  send(frame: ClientFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.socket.send(text);
  }

  /** The next frame of this kind that was not taken yet; frames of other kinds before it are passed over. */
  async next<O extends Op>(op: O): Promise<FrameOf<O>> {
    for (;;) {
      const frame = this.frames[this.#taken];
      if (!frame) await this.#change(`no ${op} frame came`);
      else {
        this.#taken++;
        if (isOp(frame, op)) return frame;
      }
    }
  }

  /** Waits until `holds`; looks again after every frame. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#change('the connection closed first');
  }

  async closing(): Promise<{ code: number; reason: string }> {
    while (!this.closed) await this.#change('');
    return this.closed;
  }

  /** Frames of one kind so far. */
  all<O extends Op>(op: O): FrameOf<O>[] {
    return this.frames.filter((frame): frame is FrameOf<O> => isOp(frame, op));
  }

  async #change(complaint: string): Promise<void> {
    if (this.#fault) throw this.#fault;
    if (this.closed) throw new Error(`${complaint}; closed with ${this.closed.code} ${this.closed.reason}`);
    await new Promise<void>((resolve) => {
      this.#notify = resolve;
    });
    if (this.#fault) throw this.#fault;
  }
}

function isOp<O extends Op>(frame: ServerFrame, op: O): frame is FrameOf<O> {
  return frame.op === op;
}
