/** Counts events that may come by the thousand, and tells each name once a while. */
export class Summary {
  readonly #pauseMs: number;
  readonly #tell: (name: string, count: number) => void;
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /** @param names of events must be few: they are kept until they are told */
  constructor(pauseMs: number, tell: (name: string, count: number) => void) {
    this.#pauseMs = pauseMs;
    this.#tell = tell;
  }

  note(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.flush(), this.#pauseMs).unref();
  }

  /** Tells everything that has not been told. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counts = [...this.#counts];
    this.#counts.clear();
    for (const [name, count] of counts) this.#tell(name, count);
  }
}
