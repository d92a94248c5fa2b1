import { randomBytes } from "node:crypto";
import { z } from "zod";
import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import type {
  ReadRecordingOptions,
  RecordingInfo,
  RecordingMethods,
  RecordingPart,
} from "../../api/methods/recordings.ts";
import { loadOnce } from "../../base/load-once.ts";
import type { EndReason, Room } from "../room.ts";
import {
  PREFIXES,
  recordingInfoKey,
  recordingKey,
  recordingPieceKey,
  recordingPieces,
} from "../store/keys.ts";
import { rangeOf, tryDecodeJson } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_PART_BYTES, MAX_RECORDED_COMMAND, MAX_RECORDINGS, PIECE_BYTES } from "./limits.ts";
import { Recorder, type RecordingStart } from "./recorder.ts";

const infoSchema: z.ZodType<RecordingInfo> = z.object({
  recordingId: z.string(),
  shellId: z.string().nullable(),
  pid: z.number(),
  command: z.string(),
  startedAt: z.number(),
  durationMs: z.number(),
  bytes: z.number(),
  running: z.boolean(),
  truncated: z.boolean(),
});

/** Pieces that one step of an answer reads. */
const PIECES_AT_ONCE = 16;

type RecordingsDeps = Pick<VmServices, "store" | "onFailure">;

/** The recordings of one VM, growing and ended. */
export class Recordings implements RecordingMethods, Room {
  readonly #deps: RecordingsDeps;
  /** Oldest first. */
  readonly #known = new Map<string, RecordingInfo>();
  /** Programs that are starting and will be recorded. */
  #admitted = 0;
  readonly #growing = new Map<string, Recorder>();
  readonly #load = loadOnce(() => this.#read());

  constructor(deps: RecordingsDeps) {
    this.#deps = deps;
  }

  /** Stores what is still to be stored. A VM that is destroyed keeps nothing. */
  async settled(reason: EndReason): Promise<void> {
    for (const recorder of this.#growing.values()) {
      if (reason === "destroy") recorder.drop();
      else recorder.ended();
    }
    await Promise.all([...this.#growing.values()].map((recorder) => recorder.settled()));
  }

  /**
   * Starts a program, and records it if `record` is `true`.
   *
   * @param about describes the program. The recording keeps the first characters of its command and arguments
   * @throws AgentVmError `limit_exceeded`, before the program starts
   */
  async around<Program extends { readonly pid: number }>(
    record: boolean | undefined,
    about: Omit<RecordingStart, "pid" | "command"> & { command: readonly string[] },
    start: () => Promise<Program>,
  ): Promise<[Program, Recorder?]> {
    if (record !== true) return [await start()];
    await this.#load();
    this.#admitted += 1;
    try {
      await this.#makeRoom();
      const program = await start();
      const recordingId = `rec-${randomBytes(8).toString("hex")}`;
      const command = about.command.join(" ").slice(0, MAX_RECORDED_COMMAND);
      const recorder = new Recorder(recordingId, { ...about, command, pid: program.pid }, this.#deps);
      this.#known.set(recordingId, recorder.info);
      this.#growing.set(recordingId, recorder);
      return [program, recorder];
    } finally {
      this.#admitted -= 1;
    }
  }

  async #makeRoom(): Promise<void> {
    while (this.#known.size + this.#admitted > MAX_RECORDINGS) {
      const oldest = [...this.#known.values()].find(({ running }) => !running);
      if (oldest === undefined)
        throw limitExceeded(
          { MAX_RECORDINGS },
          "Recording limit of the VM reached",
          "End a recorded program first.",
        );
      await this.#delete(oldest.recordingId);
    }
  }

  async listRecordings(): Promise<RecordingInfo[]> {
    await this.#load();
    return [...this.#known.values()].map((info) => ({ ...info }));
  }

  async readRecording(
    recordingId: string,
    { after = -1 }: ReadRecordingOptions = {},
  ): Promise<RecordingPart> {
    const { running } = await this.#find(recordingId);
    await this.#growing.get(recordingId)?.settled();
    const texts: string[] = [];
    let bytes = 0;
    let last = after;
    while (bytes + PIECE_BYTES <= MAX_PART_BYTES) {
      const keys = Array.from({ length: PIECES_AT_ONCE }, (_, index) =>
        recordingPieceKey(recordingId, last + 1 + index),
      );
      for (const piece of await this.#deps.store.get(keys)) {
        if (piece === undefined) return { data: texts.join(""), last, end: !running };
        if (bytes > 0 && bytes + piece.length > MAX_PART_BYTES)
          return { data: texts.join(""), last, end: false };
        texts.push(Buffer.from(piece).toString());
        bytes += piece.length;
        last += 1;
      }
    }
    return { data: texts.join(""), last, end: false };
  }

  async deleteRecording(recordingId: string): Promise<void> {
    await this.#find(recordingId);
    await this.#delete(recordingId);
  }

  async #delete(recordingId: string): Promise<void> {
    const recorder = this.#growing.get(recordingId);
    recorder?.drop();
    await recorder?.settled();
    this.#growing.delete(recordingId);
    const { from, to } = rangeOf(recordingPieces(recordingId));
    await this.#deps.store.deleteRange(from, to);
    // A deletion that breaks off can be repeated as long as the recording is listed.
    await this.#deps.store.delete([recordingInfoKey(recordingId)]);
    this.#known.delete(recordingId);
  }

  async #find(recordingId: string): Promise<RecordingInfo> {
    await this.#load();
    const info = this.#known.get(recordingId);
    if (info !== undefined) return info;
    throw new AgentVmError("recording_not_found", `Recording not found: ${recordingId}`, { recordingId });
  }

  /** Reads the recordings of earlier instances of the VM. Their programs have ended. */
  async #read(): Promise<void> {
    const found: RecordingInfo[] = [];
    let after: string | undefined;
    for (;;) {
      const [next] = await this.#deps.store.list(PREFIXES.recordings, { ...(after && { after }), limit: 1 });
      if (next === undefined) break;
      const recordingId = next[0].slice(PREFIXES.recordings.length).split("/")[0] ?? "";
      after = rangeOf(recordingKey(recordingId)).to;
      const [value] = await this.#deps.store.get([recordingInfoKey(recordingId)]);
      const info = infoSchema.safeParse(value && tryDecodeJson(value)).data;
      if (info !== undefined) found.push({ ...info, running: false });
    }
    const growing = [...this.#known];
    this.#known.clear();
    // Programs that start in the same millisecond have rising pids.
    found.sort((a, b) => a.startedAt - b.startedAt || a.pid - b.pid);
    for (const info of found) this.#known.set(info.recordingId, info);
    for (const [recordingId, info] of growing) this.#known.set(recordingId, info);
  }
}
