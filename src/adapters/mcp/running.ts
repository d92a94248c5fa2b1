import { limitExceeded } from "../../api/errors.ts";

/** Calls and reads of one server that run at the same time. Each may hold a file of 8 MiB. */
const MAX_RUNNING = 16;

/** Bounds the requests of one server that run. A client that disconnects does not end its requests. */
export class Running {
  #count = 0;

  /** @throws AgentVmError `limit_exceeded` if MAX_RUNNING requests run */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#count >= MAX_RUNNING)
      throw limitExceeded({ MAX_RUNNING }, "Limit of running requests reached", "Wait until one ends.");
    this.#count += 1;
    try {
      return await work();
    } finally {
      this.#count -= 1;
    }
  }
}
