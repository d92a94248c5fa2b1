/** What a transfer holds open. `close` may be called twice. */
export interface Closable {
  close(): Promise<void>;
}

/** Something open for a client that may never come back: closed when it has not been used for a while. */
export class Transfer<Resource extends Closable> {
  readonly #resource: Resource;
  readonly #idle: NodeJS.Timeout;
  #users = 0;
  #ended = false;

  constructor(resource: Resource, idleMs: number, onIdle: () => void) {
    this.#resource = resource;
    this.#idle = setTimeout(() => (this.#users > 0 ? this.#idle.refresh() : onIdle()), idleMs).unref();
  }

  /** Works with the resource; the idle time begins anew when it is done. */
  async use<Result>(work: (resource: Resource) => Promise<Result>): Promise<Result> {
    this.#users++;
    try {
      return await work(this.#resource);
    } finally {
      this.#users--;
      // A cleared timer would be started again.
      if (!this.#ended) this.#idle.refresh();
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#idle);
    await this.#resource.close();
  }
}
