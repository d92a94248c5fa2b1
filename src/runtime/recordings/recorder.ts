import type { RecordingInfo } from "../../api/methods/recordings.ts";
import { Mutex } from "../../base/mutex.ts";
import { recordingInfoKey, recordingPieceKey } from "../store/keys.ts";
import { encodeJson, type StoreEntry } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { CastText, castEvent, castHeader, textsOf } from "./asciicast.ts";
import { FLUSH_MS, MAX_RECORDING_BYTES, PIECE_BYTES } from "./limits.ts";

/** Begin of a recording. */
export interface RecordingStart {
  cols: number;
  rows: number;
  shellId: string | null;
  pid: number;
  command: string;
}

/** Writes one recording to the VM's store. A store that fails ends the recording, and nothing else. */
export class Recorder {
  readonly info: RecordingInfo;
  readonly #deps: Pick<VmServices, "store" | "onFailure">;
  readonly #text: CastText;
  readonly #begun = performance.now();
  readonly #writing = new Mutex();
  #pending = "";
  #pendingBytes = 0;
  #pieces = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Storing has failed: later output would leave a gap. */
  #hasFailed = false;
  #isOver = false;

  constructor(recordingId: string, start: RecordingStart, deps: Pick<VmServices, "store" | "onFailure">) {
    const { cols, rows, shellId, pid, command } = start;
    const startedAt = Date.now();
    this.info = {
      recordingId,
      shellId,
      pid,
      command,
      startedAt,
      durationMs: 0,
      bytes: 0,
      running: true,
      truncated: false,
    };
    this.#deps = deps;
    this.#text = new CastText(shellId !== null);
    this.#add(castHeader({ cols, rows }, command, startedAt));
    this.#flush();
  }

  output(stream: string, data: Uint8Array): void {
    if (this.#isOver || this.info.truncated) return;
    for (const text of textsOf(this.#text.of(stream, data))) this.#add(castEvent(this.#ms, "o", text));
  }

  resized(cols: number, rows: number): void {
    this.#add(castEvent(this.#ms, "r", `${cols}x${rows}`));
  }

  /** The recorded program has ended. */
  ended(): void {
    if (!this.info.running) return;
    Object.assign(this.info, { running: false, durationMs: Math.round(this.#ms) });
    this.#flush();
  }

  /** Records no more. */
  drop(): void {
    this.#isOver = true;
    this.#take();
    clearTimeout(this.#timer);
  }

  /** Resolves when everything so far is stored, or storing has failed. */
  async settled(): Promise<void> {
    this.#flush();
    await this.#writing.run(async () => undefined);
  }

  get #ms(): number {
    return performance.now() - this.#begun;
  }

  #add(line: string): void {
    if (this.#isOver || this.info.truncated) return;
    const bytes = Buffer.byteLength(line);
    if (this.info.bytes + bytes > MAX_RECORDING_BYTES) {
      this.info.truncated = true;
      return;
    }
    // A line is never larger than a piece.
    if (this.#pendingBytes + bytes > PIECE_BYTES) this.#flush();
    Object.assign(this.info, { bytes: this.info.bytes + bytes, durationMs: Math.round(this.#ms) });
    this.#pending += line;
    this.#pendingBytes += bytes;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #take(): Buffer {
    const data = Buffer.from(this.#pending);
    this.#pending = "";
    this.#pendingBytes = 0;
    return data;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isOver) return;
    const { recordingId } = this.info;
    const data = this.#take();
    const infoEntry = (): StoreEntry => [recordingInfoKey(recordingId), encodeJson(this.info)];
    const entries = [infoEntry()];
    if (data.length > 0) entries.unshift([recordingPieceKey(recordingId, this.#pieces++), data]);
    this.#writing
      .run(async () => {
        if (this.#isOver) return;
        if (this.#hasFailed) this.info.bytes -= data.length;
        await this.#deps.store.put(this.#hasFailed ? [infoEntry()] : entries);
      })
      .catch((error: unknown) => {
        // Without output only `info` is not stored, and `settled` stores it.
        if (data.length > 0 && !this.#hasFailed) {
          this.info.bytes -= data.length;
          this.info.truncated = true;
          this.#hasFailed = true;
        }
        this.#deps.onFailure(error);
      });
  }
}
