/** Values by a name. Forgets the value that was not used for longest. */
export class Known<Value> {
  readonly #maximum: number;
  readonly #values = new Map<string, Value>();

  /** @param maximum values at once */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  get(name: string): Value | undefined {
    const value = this.#values.get(name);
    if (value !== undefined) this.set(name, value);
    return value;
  }

  set(name: string, value: Value): void {
    this.#values.delete(name);
    this.#values.set(name, value);
    if (this.#values.size <= this.#maximum) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }

  delete(name: string): void {
    this.#values.delete(name);
  }

  clear(): void {
    this.#values.clear();
  }
}
