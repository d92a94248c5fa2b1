import { MAX_KNOWN_VMS } from "./limits.ts";

/** Values by the ids of actors. Forgets the value that was not used for longest. */
export class Known<Value> {
  readonly #values = new Map<string, Value>();

  get(actorId: string): Value | undefined {
    const value = this.#values.get(actorId);
    if (value !== undefined) this.set(actorId, value);
    return value;
  }

  set(actorId: string, value: Value): void {
    this.#values.delete(actorId);
    this.#values.set(actorId, value);
    if (this.#values.size <= MAX_KNOWN_VMS) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }

  delete(actorId: string): void {
    this.#values.delete(actorId);
  }
}
