import { id, integer, options } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("recordings");

/** A recording of a shell or of a process. */
export interface RecordingInfo {
  /** Id of the recording. */
  recordingId: string;
  /** Shell that is recorded; `null` for a process. */
  shellId: string | null;
  /** Process id inside the VM. */
  pid: number;
  /** Program and its arguments. */
  command: string;
  /** Begin of the recording, in milliseconds since the Unix epoch. */
  startedAt: number;
  /** Milliseconds that the recording has lasted. */
  durationMs: number;
  /** Bytes of the recording. */
  bytes: number;
  /** `true` until the shell or the process has ended. */
  running: boolean;
  /** `true` if output is missing because the recording has reached its limit. */
  truncated: boolean;
}

/** Options of `readRecording`. */
export interface ReadRecordingOptions {
  /** Number of the last piece that the caller has. @default -1, from the beginning */
  after?: number;
}

/** A part of a recording. */
export interface RecordingPart {
  /** Text in the format asciicast v2: whole lines, at most 4 MiB. */
  data: string;
  /** Number of the last piece in `data`, for `after`; the given `after` if there is nothing more. */
  last: number;
  /** `true` if no more will follow. */
  end: boolean;
}

/** Recordings of shells and processes that began with `record: true`. The VM keeps them over sleeps. */
export const RECORDING_METHODS = {
  /** Lists the VM's recordings, oldest first. */
  listRecordings: method<() => Promise<RecordingInfo[]>>()({
    right: "terminal",
    input: takes(),
    reads: true,
  }),
  /**
   * Returns a recording in the format asciicast v2, piece by piece, also while it grows. The pieces together are a file that
   * any player of asciinema plays.
   *
   * @param recordingId id from `listRecordings`
   * @param options `after`: number of the last piece that the caller has
   * @throws AgentVmError `recording_not_found`
   */
  readRecording: method<(recordingId: string, options?: ReadRecordingOptions) => Promise<RecordingPart>>()({
    right: "terminal",
    input: takes(
      ["recordingId", id],
      [
        "options",
        options({ after: integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional() }).optional(),
      ],
    ),
    reads: true,
  }),
  /**
   * Deletes a recording. Its program goes on.
   *
   * @param recordingId id from `listRecordings`
   * @throws AgentVmError `recording_not_found`
   */
  deleteRecording: method<(recordingId: string) => Promise<void>>()({
    right: "terminal",
    input: takes(["recordingId", id]),
  }),
};

export type RecordingMethods = CallsOf<typeof RECORDING_METHODS>;
