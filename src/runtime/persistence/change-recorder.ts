import type { TreeChange } from "../filesystem/file-changes.ts";
import { ChangeJournal } from "./change-journal.ts";

/** A restart repeats at most this many journalled bytes. Above it a checkpoint is taken. */
const MAX_JOURNAL_BYTES = 16 * 1024 * 1024;

/** A moment between changes: everything before it is in the checkpoint that it belongs to. */
interface Mark {
  /** Number of the first change after it. */
  number: number;
  /** Events seen before it. */
  seen: number;
  /** Whether processes ran that could change files without an event. */
  isBusy: boolean;
}

interface RecorderDeps {
  journal: ChangeJournal;
  /** Whether processes run that could change files. */
  isBusy(): Promise<boolean>;
  /** Whether the last checkpoint has a file. */
  isStored(path: string): Promise<boolean>;
  /** Takes a checkpoint for a change that the journal does not have. */
  checkpoint(): Promise<void>;
}

/** Decides how a change becomes durable: by a journal record if a restart can repeat it, else by the next checkpoint. */
export class ChangeRecorder {
  readonly #deps: RecorderDeps;
  readonly #journal: ChangeJournal;
  /** Counts events that may have changed files. */
  #seen = 0;
  /** Number of the newest change that the journal lacks. Until a checkpoint has it, no later change may use the journal. */
  #hole = -1;
  /** The mark of the last checkpoint. */
  #marked: Mark;
  /** Paths that journalled changes have made since, with the number of the change. */
  readonly #made = new Map<string, number>();

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#journal = deps.journal;
    this.#marked = this.mark();
  }

  /** Events that may have changed files, until now. */
  get seen(): number {
    return this.#seen;
  }

  /** Whether files may have changed since the last checkpoint. */
  get isDirty(): boolean {
    const { seen, number, isBusy } = this.#marked;
    return isBusy || seen !== this.#seen || number !== this.#journal.next;
  }

  /** Whether the journal is so long that it needs a checkpoint. */
  get isLong(): boolean {
    return this.#journal.bytes > MAX_JOURNAL_BYTES;
  }

  /** Counts an event that may have changed files. */
  noteEvent(): void {
    this.#seen += 1;
  }

  /**
   * Whether a restart can repeat a change on top of the last checkpoint. A file that is moved may be younger than the
   * checkpoint, if a process has made it. All other changes need no earlier files. Call it before the change is made.
   */
  async isReplayable(change: TreeChange): Promise<boolean> {
    if (!ChangeJournal.takes(change)) return false;
    if (change.action !== "move" || this.#made.has(change.from)) return true;
    const isQuiet = this.#marked.seen === this.#seen && !(await this.#deps.isBusy());
    return isQuiet || (await this.#deps.isStored(change.from));
  }

  /** Records a change that has been made. `durable` resolves when it survives the server's death. */
  record(change: TreeChange, isReplayable: boolean): { durable: Promise<void> } {
    if (!isReplayable || this.#hole >= this.#marked.number) {
      this.skip();
      return { durable: this.#deps.checkpoint() };
    }
    const number = this.#journal.next;
    if (change.action !== "delete")
      this.#made.set(change.action === "move" ? change.to : change.path, number);
    const durable = this.#journal.append(change).catch(async () => {
      this.#hole = Math.max(this.#hole, number);
      await this.#deps.checkpoint();
    });
    return { durable };
  }

  /** Takes the number of a change that only a checkpoint can keep. */
  skip(): void {
    this.#hole = this.#journal.skip();
  }

  /** Marks this moment. Changes after it are replayed on top of the checkpoint, even if the checkpoint has them already. */
  mark({ isBusy = false }: Partial<Pick<Mark, "isBusy">> = {}): Mark {
    return { number: this.#journal.next, seen: this.#seen, isBusy };
  }

  /** A checkpoint has stored everything before a mark. */
  stored(mark: Mark): void {
    this.#marked = mark;
    for (const [path, number] of this.#made) if (number < mark.number) this.#made.delete(path);
    this.#journal.restart();
  }
}
