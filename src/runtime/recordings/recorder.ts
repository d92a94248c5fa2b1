import type { RecordingInfo } from "../../api/methods/recordings.ts";
import { Mutex } from "../../base/mutex.ts";
import { recordingInfoKey, recordingPieceKey } from "../store/keys.ts";
import { encodeJson } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { CastText, castEvent, castHeader } from "./asciicast.ts";
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
  #pieces = 0;
  #timer: NodeJS.Timeout | undefined;
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
    const text = this.#text.of(stream, data);
    if (text !== "") this.#add(castEvent(this.#ms, "o", text));
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
    this.#pending = "";
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
    Object.assign(this.info, { bytes: this.info.bytes + bytes, durationMs: Math.round(this.#ms) });
    this.#pending += line;
    if (this.#pending.length >= PIECE_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isOver) return;
    const { recordingId } = this.info;
    const data = Buffer.from(this.#pending);
    this.#pending = "";
    const piece: [string, Uint8Array][] =
      data.length === 0 ? [] : [[recordingPieceKey(recordingId, this.#pieces++), data]];
    const entries: [string, Uint8Array][] = [
      ...piece,
      [recordingInfoKey(recordingId), encodeJson(this.info)],
    ];
    this.#writing
      .run(async () => {
        if (!this.#isOver) await this.#deps.store.put(entries);
      })
      .catch((error: unknown) => {
        this.drop();
        this.info.truncated = true;
        this.#deps.onFailure(error);
      });
  }
}
