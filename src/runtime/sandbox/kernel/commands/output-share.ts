/**
 * Output of one VM that the server reads in one turn of its event loop.
 * @unit bytes
 * @past The VM's commands and terminals take turns, together with those of other VMs.
 */
const VM_TURN_BYTES = 64 * 1024;

/**
 * Commands and terminals that the server reads in one turn of its event loop, of all VMs that are past VM_TURN_BYTES.
 * @unit readers
 * @past Further readers wait for the next turn.
 */
const READERS_PER_TURN = 2;

/** A read costs the server as much as this many bytes, however little it reads. */
const READ_COST_BYTES = 16 * 1024;

/** Bytes below which a read is small. */
const SMALL_BYTES = 4096;

/**
 * Small reads of one VM's output within OUTPUT_PAUSE_MS.
 * @unit reads
 * @past The server waits OUTPUT_PAUSE_MS, so that more output arrives for each read.
 */
const MAX_SMALL_READS = 64;
/**
 * Pause of a command or terminal whose VM writes much in small pieces.
 * @unit ms
 * @past The server reads again.
 */
const OUTPUT_PAUSE_MS = 8;

/** A source of output that can wait. */
interface Reader {
  /** Reads on after its turn has come. */
  takeTurn(): void;
}

/**
 * The output of one VM that the server reads. Many processes that write without end keep the event loop no longer than
 * one: past its share, each reader of the VM stops after a read, and goes on in a later turn. Output and calls of other VMs
 * come in between.
 */
export class OutputShare {
  #bytes = 0;
  #smallReads = 0;
  #countedSince = 0;
  readonly #waiting = new Set<Reader>();
  #pausing = new Set<Reader>();

  /** Counts a read. @returns `false` if the reader has to stop until `takeTurn` */
  mayReadOn(reader: Reader, bytes: number): boolean {
    this.#bytes += Math.max(bytes, READ_COST_BYTES);
    turns.count(this);
    if (bytes < SMALL_BYTES && this.#hasManySmallReads()) {
      if (this.#pausing.size === 0) setTimeout(() => this.#endPause(), OUTPUT_PAUSE_MS);
      this.#pausing.add(reader);
      return false;
    }
    // While others of the VM wait, each read is a turn.
    if (this.#bytes < VM_TURN_BYTES && this.#waiting.size === 0) return true;
    this.#wait(reader);
    return false;
  }

  /** Forgets a reader that has ended. */
  leave(reader: Reader): void {
    this.#waiting.delete(reader);
    this.#pausing.delete(reader);
  }

  /** Lets the reader that has waited longest read. @returns `true` if others wait */
  advance(): boolean {
    const [reader] = this.#waiting;
    if (reader === undefined) return false;
    this.#waiting.delete(reader);
    reader.takeTurn();
    return this.#waiting.size > 0;
  }

  endTurn(): void {
    this.#bytes = 0;
  }

  #hasManySmallReads(): boolean {
    const now = performance.now();
    if (now - this.#countedSince >= OUTPUT_PAUSE_MS) {
      this.#countedSince = now;
      this.#smallReads = 0;
    }
    return ++this.#smallReads > MAX_SMALL_READS;
  }

  #endPause(): void {
    const paused = this.#pausing;
    this.#pausing = new Set();
    for (const reader of paused) this.#wait(reader);
  }

  #wait(reader: Reader): void {
    this.#waiting.add(reader);
    turns.queue(this);
  }
}

/** The turns of the event loop, which all VMs share. */
class Turns {
  readonly #counted = new Set<OutputShare>();
  /** VMs whose readers wait. The first is next. */
  readonly #waiting = new Set<OutputShare>();
  #scheduled = false;

  count(share: OutputShare): void {
    this.#counted.add(share);
    this.#schedule();
  }

  queue(share: OutputShare): void {
    this.#waiting.add(share);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#scheduled = false;
    for (const share of this.#counted) share.endTurn();
    this.#counted.clear();
    for (let readers = 0; readers < READERS_PER_TURN; readers++) {
      const [share] = this.#waiting;
      if (share === undefined) return;
      this.#waiting.delete(share);
      if (share.advance()) this.queue(share);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}

const turns = new Turns();
