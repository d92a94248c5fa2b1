type Numbers = Float64Array | Uint32Array;
type Column<Kind extends Numbers> = new (length: number) => Kind;

const FIRST_ROWS = 64;

/** Columns of numbers that grow together. */
export class Columns<Kind extends Numbers, Name extends string> {
  /** The columns by name. A column is another one after it has grown. */
  readonly all: Record<Name, Kind>;
  readonly #names: readonly Name[];
  readonly #column: Column<Kind>;
  #rows = FIRST_ROWS;

  constructor(column: Column<Kind>, names: readonly Name[]) {
    this.#column = column;
    this.#names = names;
    this.all = Object.fromEntries(names.map((name) => [name, new column(FIRST_ROWS)])) as Record<Name, Kind>;
  }

  /** Makes room for a number of rows. */
  reserve(rows: number): Record<Name, Kind> {
    if (rows <= this.#rows) return this.all;
    while (this.#rows < rows) this.#rows *= 2;
    for (const name of this.#names) {
      const grown = new this.#column(this.#rows);
      grown.set(this.all[name]);
      this.all[name] = grown;
    }
    return this.all;
  }

  /** Puts the rows from one on in another order. @param order the present rows, in their new order */
  reorder(start: number, order: readonly number[]): void {
    for (const name of this.#names) {
      const column = this.all[name];
      const before = column.slice(start, start + order.length);
      for (let index = 0; index < order.length; index++)
        column[start + index] = before[(order[index] as number) - start] as number;
    }
  }
}
