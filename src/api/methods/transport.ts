import { z } from "zod";
import {
  MAX_ACKNOWLEDGED_CALLS,
  MAX_CALLS_TOGETHER,
  MAX_TRANSFER_BYTES,
  TRANSFER_CHUNK_BYTES,
} from "../limits.ts";
import { args, argument, binary, id, integer, offset, options, path, pid, text } from "../values.ts";
import { methodsOf, takes } from "./method.ts";
import type { ExecOptions, ExecResult, OutputChunk, SpawnedPid, StartedAt } from "./process-types.ts";
import { fitting, followOptions, startRunOptions } from "./processes.ts";
import type { ArchiveImport } from "./snapshot-types.ts";

const processesMethod = methodsOf("processes");
const actorMethod = methodsOf("actor");
const tarsMethod = methodsOf("tars");
const transfersMethod = methodsOf("transfers");

/** How a call ended: its result, or its error. */
export type CallOutcome =
  | {
      /** The call succeeded. */
      ok: true;
      /** Result of the method. */
      output: unknown;
    }
  | {
      /** The call failed. */
      ok: false;
      /** Error of the method. */
      error: {
        /** Code of the error. docs/errors.md lists the codes. */
        code: string;
        /** Description for people. */
        message: string;
        /** Details of the error. */
        metadata?: unknown;
      };
    };

/** A call to begin. */
export interface CallRequest {
  /** Idempotency key: a repeated key returns the first call's outcome. */
  callId: string;
  /** Name of the method to call. */
  action: string;
  /** Arguments of the method. */
  args: unknown[];
  /** VM instance that the client knows; the call is refused when another instance answers. */
  instanceId?: string;
  /** Keys whose outcome has arrived, which the server may forget. */
  received?: string[];
  /** `true` takes the outcome with the answer, if the call ends soon. Only for a server whose ticket says `answers`. @default false */
  answer?: boolean;
}

/** The instance that answers. */
export interface CallTicket {
  /** Id of the VM instance. Changes whenever the server side of the VM starts. */
  instanceId: string;
  /** Whether connections may outlive the instance, as behind a Rivet Engine. @default false */
  mayMove?: boolean;
  /** `true` if the server takes `answer` in a request. */
  answers?: true;
  /** `true` if the server takes `beginCalls`. */
  together?: true;
  /** Outcome of the call, if it has ended already. There is no event then. */
  outcome?: CallOutcome;
}

/** A file that is being read in pieces. */
export interface FileReadTransfer {
  /** Size of the whole file in bytes. */
  size: number;
  /** First bytes of the file; the whole file when `transferId` is `null`. */
  data: Uint8Array;
  /** Id for `readFileChunk`; `null` when nothing is left to read. */
  transferId: string | null;
  /** `true` if the server also answers the bytes as the body of a GET. */
  direct?: true;
}

/** How a process ended, and what it used. */
export type ProcessEnd = Omit<ExecResult, "stdout" | "stderr" | "output" | "truncated">;

/** The next output of a process. */
export interface FollowedOutput {
  /** Chunks, oldest first. */
  chunks: OutputChunk[];
  /** `true` when chunks after `after` are no longer kept. */
  truncated: boolean;
  /** Bytes that a result may capture: `limits.captureBytes` of the VM. */
  captureBytes: number;
  /** End of the process, with its last output; `null` while it runs. */
  end: ProcessEnd | null;
  /** Start of the process, in milliseconds since the Unix epoch. */
  startedAt: number;
}

/** Options of `followProcess`. */
export interface FollowOptions extends StartedAt {
  /** Only chunks whose `seq` is greater. @default -1, every kept chunk */
  after?: number;
  /** Longest wait for output or the end, in milliseconds. @default 0 */
  waitMs?: number;
  /** `true` makes the process wait when its reader is slow, instead of dropping its oldest output. @default false */
  hold?: boolean;
}

/** Options of `startRun`. */
export interface StartRunOptions extends Omit<ExecOptions, "captureStdio"> {
  /** `true` records the output of both streams. @default false */
  record?: boolean;
  /** `true` leaves stdin open for `writeProcessStdin` and `closeProcessStdin`. @default false */
  openStdin?: boolean;
}

/** A write that has begun. */
export interface TransferTicket {
  /** Id for the pieces of the transfer. */
  transferId: string;
  /** `true` if the server also takes the bytes as the body of a PUT. */
  direct?: true;
}

/** A tar archive that is being read in pieces. */
export interface TarReadTransfer {
  /** Id for `readTarChunk`. */
  transferId: string;
  /** Estimated size of the archive in bytes. */
  estimate: number;
  /** `true` if the server also answers the bytes as the body of a GET. */
  direct?: true;
}

const piece = binary.refine((data) => data.byteLength <= TRANSFER_CHUNK_BYTES, {
  error: `at most ${TRANSFER_CHUNK_BYTES} bytes`,
});
const transfer = takes(["transferId", id]);
const pieceOut = takes(["transferId", id], ["offset", offset]);
const fileSize = integer(0, MAX_TRANSFER_BYTES, `a size from 0 to ${MAX_TRANSFER_BYTES} bytes`);
const firstBytes = integer(0, TRANSFER_CHUNK_BYTES, `a number of bytes from 0 to ${TRANSFER_CHUNK_BYTES}`);
const pieceIn = takes(["transferId", id], ["offset", offset], ["data", piece]);

const callRequest = options({
  callId: id,
  action: text,
  args: z.array(z.unknown(), { error: "an array" }),
  instanceId: id.optional(),
  received: z.array(id).max(MAX_ACKNOWLEDGED_CALLS).optional(),
  answer: z.boolean().optional(),
});

const callRequests = z
  .array(callRequest, { error: "an array of calls" })
  .min(1, { error: "at least one call" })
  .max(MAX_CALLS_TOGETHER, { error: `at most ${MAX_CALLS_TOGETHER} calls` });

const callIds = z
  .array(id, { error: "an array of call ids" })
  .max(MAX_ACKNOWLEDGED_CALLS, { error: `at most ${MAX_ACKNOWLEDGED_CALLS} call ids` });

/** Methods under this package's client: files and archives in pieces, and calls that survive a lost connection. */
export const TRANSPORT_METHODS = {
  /** Starts a command for `run` of this package's client: a shell line without arguments, otherwise a program. */
  startRun: processesMethod<
    (command: string, args: readonly string[] | null, options?: StartRunOptions) => Promise<SpawnedPid>
  >()({
    right: "exec",
    input: fitting(
      takes(["command", argument()], ["args", args.nullable()], ["options", startRunOptions]),
      ([command, rest, given]) => [[command, ...(rest ?? [])], given?.env],
    ),
    boots: true,
    long: true,
  }),
  /** Returns output of a process as soon as there is some, and its end. It may hold the process up, which needs the right to run commands. */
  followProcess: processesMethod<(pid: number, options?: FollowOptions) => Promise<FollowedOutput>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", followOptions]),
    long: true,
    signal: true,
    abortable: true,
  }),
  /** Reads a file's first bytes, 8 MiB unless said otherwise, and, when there are more, keeps the file open for 60 s. */
  beginFileRead: transfersMethod<(path: string, firstBytes?: number) => Promise<FileReadTransfer>>()({
    right: "files",
    input: takes(["path", path], ["firstBytes", firstBytes.optional()]),
    boots: true,
    reads: true,
  }),
  /** Reads up to 8 MiB of an open file at an offset. */
  readFileChunk: transfersMethod<(transferId: string, offset: number) => Promise<Uint8Array>>()({
    right: "files",
    input: pieceOut,
    boots: true,
    reads: true,
  }),
  /** Opens a replacement for a file. Nothing is visible before commitFileWrite, which then says a size that is left out. */
  beginFileWrite: transfersMethod<(path: string, size?: number) => Promise<TransferTicket>>()({
    right: "files",
    input: takes(["path", path], ["size", fileSize.optional()]),
    boots: true,
  }),
  /** Writes up to 8 MiB of a replacement at an offset. */
  writeFileChunk: transfersMethod<(transferId: string, offset: number, data: Uint8Array) => Promise<void>>()({
    right: "files",
    input: pieceIn,
    boots: true,
  }),
  /** Puts a complete replacement in the place of its file, in one step. */
  commitFileWrite: transfersMethod<(transferId: string, size?: number) => Promise<void>>()({
    right: "files",
    input: takes(["transferId", id], ["size", fileSize.optional()]),
    boots: true,
    long: true,
  }),
  /** Cuts the body that brings the bytes of a file or an archive, and returns how many bytes have arrived without a gap. */
  transferOffset: transfersMethod<(transferId: string) => Promise<number>>()({
    right: "files",
    input: transfer,
    boots: true,
  }),
  /** Drops a transfer of a file or an archive. An unknown id does nothing. */
  endFileTransfer: transfersMethod<(transferId: string) => Promise<void>>()({
    right: "any",
    input: transfer,
    boots: true,
  }),
  /** Begins exportTar; without a path exportSnapshot. */
  beginTarRead: tarsMethod<(path?: string) => Promise<TarReadTransfer>>()({
    right: "files",
    input: takes(["path", path.optional()]),
    boots: true,
    reads: true,
  }),
  /** Returns the next piece of an archive, which begins at an offset. The piece behind the last one is empty. */
  readTarChunk: tarsMethod<(transferId: string, offset: number) => Promise<Uint8Array>>()({
    right: "files",
    input: pieceOut,
    boots: true,
    reads: true,
  }),
  /** Begins importTar. Nothing is visible before commitTarWrite. */
  beginTarWrite: tarsMethod<(path: string) => Promise<TransferTicket>>()({
    right: "files",
    input: takes(["path", path]),
    boots: true,
  }),
  /** Takes the next piece of an archive. An empty piece only keeps the transfer alive. */
  writeTarChunk: tarsMethod<(transferId: string, offset: number, data: Uint8Array) => Promise<void>>()({
    right: "files",
    input: pieceIn,
    boots: true,
  }),
  /** Puts the unpacked archive in place, in one step. */
  commitTarWrite: tarsMethod<(transferId: string) => Promise<ArchiveImport>>()({
    right: "files",
    input: transfer,
    boots: true,
    long: true,
  }),
  /** Begins a call, or joins the running call of this key. The outcome arrives as a callSettled event, or with the answer. */
  beginCall: actorMethod<(request: CallRequest) => Promise<CallTicket>>()({
    right: "any",
    input: takes(["request", callRequest]),
    protocol: true,
  }),
  /** Begins calls in their order, each as `beginCall` does. Every outcome arrives as a callSettled event. */
  beginCalls: actorMethod<(requests: CallRequest[]) => Promise<CallTicket>>()({
    right: "any",
    input: takes(["requests", callRequests]),
    protocol: true,
  }),
  /** Lets the server forget the outcomes of calls, and returns the instance of the VM that answers. */
  acknowledge: actorMethod<(received: string[]) => Promise<CallTicket>>()({
    right: "any",
    input: takes(["received", callIds]),
    protocol: true,
    looks: true,
  }),
  /** Gives up a call: a vmFetch is cut, a waitForPort ends, other work goes on. An unknown id does nothing. */
  abandonCall: actorMethod<(callId: string) => Promise<void>>()({
    right: "any",
    input: takes(["callId", id]),
    protocol: true,
  }),
};
