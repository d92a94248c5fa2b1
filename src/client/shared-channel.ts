import { connectionLost } from "../api/errors.ts";
import { CONNECTION_LINGER_MS } from "../api/limits.ts";
import { CallChannel } from "./calls.ts";
import { Link } from "./link.ts";
import type { RawHandle } from "./raw.ts";

/**
 * A handle's own connection, for calls that outlast an HTTP request. Opened with the first one, shared by all, and
 * closed soon after the last: an open connection keeps the VM awake, and a script from ending.
 */
export class SharedChannel {
  readonly link: Link;
  readonly calls: CallChannel;
  #holds = 0;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(handle: RawHandle) {
    this.link = new Link(handle);
    this.calls = new CallChannel(this.link, false);
  }

  /** Whether a call would find the connection standing. */
  get isOpen(): boolean {
    return this.calls.isReady;
  }

  async call(action: string, args: unknown[], signal?: AbortSignal): Promise<unknown> {
    const release = this.hold();
    try {
      return await this.calls.call(action, args, signal);
    } finally {
      release();
    }
  }

  /** Keeps the connection until the returned function is called. */
  hold(): () => void {
    this.#holds += 1;
    clearTimeout(this.#linger);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds === 0) this.#linger = setTimeout(() => void this.#close(), CONNECTION_LINGER_MS);
    };
  }

  async dispose(): Promise<void> {
    clearTimeout(this.#linger);
    this.calls.fail(connectionLost("The client was disposed"));
    await this.calls.acknowledge();
    await this.link.close();
  }

  async #close(): Promise<void> {
    await this.calls.acknowledge();
    if (this.#holds === 0) await this.link.close();
  }
}
