/**
 * The interface `SandboxBackendProtocolV2` of `deepagents`, in types of this package. An object of one is an object of the other.
 *
 * @module
 */

/** An operation that may have failed. */
export interface MayFail {
  /** Why the operation failed; absent if it succeeded. */
  error?: string;
}

/** A file or directory. */
export interface BackendFileInfo {
  /** Absolute path; a directory's path ends with a slash. */
  path: string;
  /** Whether the path is a directory. */
  is_dir?: boolean;
  /** Size in bytes. */
  size?: number;
  /** Time of the last change, in ISO 8601. */
  modified_at?: string;
}

/** Content of a file, or a page of its lines. */
export interface BackendReadResult extends MayFail {
  /** Text, or the bytes of a file that is not text. */
  content?: string | Uint8Array;
  /** `text/plain` or `application/octet-stream`. */
  mimeType?: string;
  /** Number of lines of the file. */
  totalLines?: number;
  /** First line of the page, counted from 1. */
  startLine?: number;
  /** Last line of the page, counted from 1. */
  endLine?: number;
  /** Offset of the next page; absent at the end of the file. */
  nextOffset?: number;
}

/** Content of a file with its times. */
export interface BackendFileData {
  /** Text, or the bytes of a file that is not text. */
  content: string | Uint8Array;
  /** `text/plain` or `application/octet-stream`. */
  mimeType: string;
  /** Time of creation, in ISO 8601. */
  created_at: string;
  /** Time of the last change, in ISO 8601. */
  modified_at: string;
}

/** A line that matches. */
export interface BackendGrepMatch {
  /** Absolute path. */
  path: string;
  /** Number of the line, counted from 1. */
  line: number;
  /** Text of the line. */
  text: string;
}

/** Why a file was not moved. */
export type BackendFileError = "file_not_found" | "permission_denied" | "is_directory" | "invalid_path";

/** Result of `execute`. */
export interface BackendExecuteResult {
  /** Stdout and stderr in the order in which they arrived. */
  output: string;
  /** Exit code; 128 + n when signal n ended the command. */
  exitCode: number | null;
  /** `true` when output past the VM's capture limit was dropped. */
  truncated: boolean;
}

/** Files that were found. */
export interface BackendFiles extends MayFail {
  /** The files. */
  files?: BackendFileInfo[];
  /** `true` when the list is not complete. */
  truncated?: boolean;
}

/** Result of `readRaw`. */
export interface BackendReadRawResult extends MayFail {
  /** Content and times. */
  data?: BackendFileData;
}

/** Result of `write` and `delete`. */
export interface BackendChange extends MayFail {
  /** Path as given. */
  path?: string;
  /** Always `null`: the VM keeps the file. */
  filesUpdate?: null;
}

/** Result of `edit`. */
export interface BackendEdit extends BackendChange {
  /** Number of replacements. */
  occurrences?: number;
}

/** Result of `grep`. */
export interface BackendGrepResult extends MayFail {
  /** Lines that match. */
  matches?: BackendGrepMatch[];
  /** `true` when there are more matches. */
  truncated?: boolean;
}

/** Result of one file of `uploadFiles`. */
export interface BackendUpload {
  /** Path as given. */
  path: string;
  /** Why the file was not moved; `null` if it was. */
  error: BackendFileError | null;
}

/** Result of one file of `downloadFiles`. */
export interface BackendDownload extends BackendUpload {
  /** Content; `null` after an error. */
  content: Uint8Array | null;
}

/** A VM as the backend of `createDeepAgent({ backend })`. Relative paths resolve against the base directory. */
export interface DeepAgentsBackend {
  /** Names the backend. */
  readonly id: string;
  /** Runs a shell line. Its output is stdout and stderr in the order in which they arrived. */
  execute(command: string): Promise<BackendExecuteResult>;
  /** Lists a directory. */
  ls(path: string): Promise<BackendFiles>;
  /** Reads lines of a file. @param offset lines to skip. @param limit most lines */
  read(filePath: string, offset?: number, limit?: number): Promise<BackendReadResult>;
  /** Reads a whole file. */
  readRaw(filePath: string): Promise<BackendReadRawResult>;
  /** Writes a file and makes missing parents. */
  write(filePath: string, content: string): Promise<BackendChange>;
  /** Replaces text in a file. The text must occur once, unless `replaceAll` is set. */
  edit(filePath: string, oldString: string, newString: string, replaceAll?: boolean): Promise<BackendEdit>;
  /** Deletes a file, or a directory with everything below it. */
  delete(filePath: string): Promise<BackendChange>;
  /** Searches text files for a literal text. */
  grep(
    pattern: string,
    path?: string | null,
    glob?: string | null,
    maxCount?: number | null,
  ): Promise<BackendGrepResult>;
  /** Finds files by a glob, such as `**` + `/*.ts`. */
  glob(pattern: string, path?: string): Promise<BackendFiles>;
  /** Writes files of any content. */
  uploadFiles(files: [string, Uint8Array][]): Promise<BackendUpload[]>;
  /** Reads files of any content. */
  downloadFiles(paths: string[]): Promise<BackendDownload[]>;
}
