import type { VmFetchOptions, VmFetchResponse } from "../api/methods/network.ts";
import type { Bytes } from "../api/values.ts";
import type { CallOptions } from "./types.ts";

/** Progress of `readFile` or `writeFile`. */
export interface TransferProgress {
  /** Bytes moved so far. */
  transferred: number;
  /** Bytes of the whole file. */
  total: number;
}

/** Progress of `writeFile` with a stream. */
export interface StreamProgress {
  /** Bytes moved so far. */
  transferred: number;
  /** Always `null`: the size of a stream is not known. */
  total: null;
}

/** Options of `readFile` and `writeFile`. */
export interface TransferOptions {
  /** Called after each piece of at most 8 MiB. @default not called */
  onProgress?: (progress: TransferProgress) => void;
  /** Cancels the transfer when it aborts. A file that was being written keeps its old content. @default none */
  signal?: AbortSignal;
}

/** Options of `readFile` with a stream as its result. */
export interface ReadStreamOptions extends TransferOptions {
  /** `true` answers a stream of the file's bytes. */
  stream: true;
}

/** Options of `writeFile` with a stream as its content. */
export interface WriteStreamOptions {
  /** Called after each piece of at most 8 MiB. @default not called */
  onProgress?: (progress: StreamProgress) => void;
  /** Cancels the transfer, and the stream, when it aborts. The file keeps its old content. @default none */
  signal?: AbortSignal;
}

/** Options of `vmFetch` with a `Response` as its result. */
export interface VmFetchStreamOptions extends Omit<VmFetchOptions, "body" | "timeoutMs"> {
  /** `true` answers a `Response` as soon as its head has arrived. Its body follows while the VM sends it. */
  stream: true;
  /** Body of the request. A browser sends a stream when it is complete. Dropped for GET and HEAD. @default none */
  body?: Bytes | Blob | ReadableStream<Uint8Array>;
  /** Milliseconds until the head of the response must have arrived. @default 30_000 */
  timeoutMs?: number;
}

/** Progress of an archive. */
export interface TarProgress {
  /** Bytes of the archive moved so far. */
  transferred: number;
  /** Bytes of the whole archive: an estimate for an export, `null` for the import of a stream. */
  total: number | null;
}

/** Options of `exportTar`, `exportSnapshot` and `importTar`. */
export interface TarTransferOptions {
  /** Called after each piece of at most 8 MiB. @default not called */
  onProgress?: (progress: TarProgress) => void;
  /** Cancels the transfer when it aborts. A cancelled import leaves the VM's files unchanged. @default none */
  signal?: AbortSignal;
}

/** `readFile` of this client. */
export interface ReadFile {
  /**
   * Opens a file as a stream of its bytes, which travel while they are read. After a broken connection the stream goes on where it was.
   * Cancelling the stream ends the transfer. A stream that nobody reads for 60 s ends.
   *
   * @param path absolute path of a regular file
   * @throws AgentVmError `ENOENT`; `EISDIR` for a directory; `EACCES`. The stream: `file_changed`, `transfer_not_found`
   * @example
   * ```ts
   * const stream = await agent.readFile("/workspace/build.tar", { stream: true });
   * await stream.pipeTo(Writable.toWeb(createWriteStream("build.tar")));
   * ```
   */
  (path: string, options: ReadStreamOptions): Promise<ReadableStream<Uint8Array>>;
  /**
   * Reads a whole file of any size. A file above 256 KiB travels as the body of an HTTP response, and goes on where it was after a
   * broken connection.
   *
   * @param path absolute path of a regular file
   * @throws AgentVmError `ENOENT`; `EISDIR` for a directory; `EACCES`
   */
  (path: string, options?: TransferOptions): Promise<Uint8Array>;
}

/** `writeFile` of this client. */
export interface WriteFile {
  /**
   * Replaces a file by the bytes of a stream, in one step when the stream has ended, and creates missing parents. A stream that
   * fails leaves the old file.
   *
   * @param path absolute path
   * @param content stream of bytes
   * @throws the stream's error; AgentVmError `EISDIR` for a directory; `ENOSPC`; `EROFS` below a read-only mount
   */
  (path: string, content: ReadableStream<Uint8Array>, options?: WriteStreamOptions): Promise<void>;
  /**
   * Replaces a file of any size in one step and creates missing parents. The mode and owner of an existing file stay. Large content
   * travels as the body of an HTTP request, and goes on where it was after a broken connection.
   *
   * @param path absolute path
   * @param content new content; a string is written as UTF-8, and a large Blob is read piece by piece
   * @throws AgentVmError `EISDIR` for a directory; `ENOSPC` when the VM's disk is full; `EROFS` below a read-only mount
   */
  (path: string, content: Bytes | Blob, options?: TransferOptions): Promise<void>;
}

/** Options of `vmFetch` of this client, with the whole response as its result. */
export interface VmFetchClientOptions extends Omit<VmFetchOptions, "body"> {
  /** Body of the request. Dropped for GET and HEAD. @default none */
  body?: Bytes | Blob;
  /** `false` answers the whole response. @default false */
  stream?: false;
}

/** `vmFetch` of this client. */
export interface VmFetch {
  /**
   * Sends an HTTP request to a port inside the VM, and answers as soon as the head of the response has arrived. Both bodies are
   * streams of any length. Cancelling the response's body, or aborting the signal, ends the request inside the VM.
   *
   * @param port port of a server inside, on 127.0.0.1 or ::1
   * @param path path with query, sent unchanged
   * @throws AgentVmError `ECONNREFUSED` when nothing listens; `fetch_timeout`; `fetch_failed`; `limit_exceeded`
   * @example
   * ```ts
   * const events = await agent.vmFetch(3000, "/events", { stream: true });
   * for await (const piece of events.body) process.stdout.write(piece);
   * ```
   */
  (port: number, path: string, options: VmFetchStreamOptions, call?: CallOptions): Promise<Response>;
  /**
   * Sends one HTTP request to a port inside the VM and returns the whole response. Redirects are not followed.
   *
   * @param port port of a server inside, on 127.0.0.1 or ::1
   * @param path path with query, sent unchanged
   * @param options method, headers, body and timeout
   * @throws AgentVmError `ECONNREFUSED` when nothing listens; `fetch_timeout`; `fetch_failed` when the connection breaks;
   * `response_too_large` above 31 MiB, use `stream: true` instead
   */
  (port: number, path: string, options?: VmFetchClientOptions, call?: CallOptions): Promise<VmFetchResponse>;
}

/** Options of `readFile` in either form. */
export type ReadFileOptions = TransferOptions & { stream?: boolean };
