/** Something that can be drawn again. */
export interface Drawing {
  /** Asks to be drawn in the next frame; asking twice is asking once. */
  readonly invalidate: () => void;
  readonly remove: () => void;
}

/**
 * One loop for everything that moves. It asks for a frame only when something wants to be drawn, and a hidden tab
 * gives no frames, so nothing is drawn there while the buffers go on filling.
 */
export class FrameLoop {
  readonly #requestFrame: (draw: () => void) => unknown;
  readonly #waiting = new Set<() => void>();
  #isRequested = false;

  constructor(requestFrame: (draw: () => void) => unknown) {
    this.#requestFrame = requestFrame;
  }

  add(draw: () => void): Drawing {
    return {
      invalidate: () => {
        this.#waiting.add(draw);
        this.#request();
      },
      remove: () => this.#waiting.delete(draw),
    };
  }

  #request(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.#requestFrame(() => {
      this.#isRequested = false;
      const due = [...this.#waiting];
      this.#waiting.clear();
      for (const draw of due) draw();
    });
  }
}
