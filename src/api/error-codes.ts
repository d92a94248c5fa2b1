/** HTTP status and help of one error code. Its docstring is its meaning in docs/errors.md. */
interface ErrorDefinition {
  /** HTTP status of a raw request that ends with this code. */
  status: number;
  /** Remedy for the caller or the server's operator. */
  hint?: string;
}

/**
 * Codes of this package.
 * @internal exported for the page of errors
 */
export const ERROR_DEFINITIONS = {
  /** An argument or option has the wrong type, is out of range, or is unknown. `metadata.argument` names it. */
  invalid_argument: { status: 400 },
  /** The request carries no valid token. `metadata.reason` is `missing`, `invalid`, `expired` or `revoked`. */
  unauthorized: { status: 401, hint: "Pass a valid token: createClient({ endpoint, token })." },
  /** The token is valid, but does not allow this. `metadata.right` names a missing right, `metadata.key` a VM out of reach. */
  forbidden: { status: 403, hint: "Ask for a token with this right: client.tokens.create({ vms, may })." },
  /** The server has no token with this id: it was revoked, or has expired. */
  token_not_found: { status: 404, hint: "client.tokens.list() lists the tokens of the server." },
  /** The server has no MCP session with this id for this client: it has ended, or was idle too long. */
  mcp_session_not_found: { status: 404, hint: "Send an initialize request without a session id." },
  /** The server refuses requests for this host, or from pages of this origin. */
  forbidden_origin: {
    status: 403,
    hint: "Name the page's origin in AGENT_VM_ALLOWED_ORIGINS or `allowedOrigins`. A server without a token and without `authorize` accepts only loopback hosts.",
  },
  /** The VM has no process with this pid, or has forgotten it. */
  process_not_found: { status: 404, hint: "listProcesses() lists the processes that the VM remembers." },
  /** The VM has no service with this name. */
  service_not_found: { status: 404, hint: "listServices() lists the VM's services." },
  /** The VM has no mount at this path. */
  mount_not_found: { status: 404, hint: "listMounts() lists the VM's mounts." },
  /** The server's options do not allow this mount: a folder of the host or a volume that no option names, or writing to it. */
  mount_forbidden: {
    status: 403,
    hint: "The server allows it with vmActor({ hostFolders }) or vmActor({ volumes }). See docs/mounts.md.",
  },
  /** The server's host cannot make this mount. The message says what it lacks. */
  mount_unavailable: { status: 501, hint: "docs/mounts.md says what each kind of mount needs." },
  /** Another VM has the volume for itself, or other VMs have it mounted. */
  volume_in_use: { status: 409, hint: "Unmount it in the other VM, or put that VM to sleep." },
  /** The VM has no recording with this id, or has deleted it. */
  recording_not_found: { status: 404, hint: "listRecordings() lists the VM's recordings." },
  /** The VM has no shell with this id, or has forgotten it. */
  shell_not_found: { status: 404, hint: "listShells() lists the VM's shells." },
  /** The VM has no cron job with this id. */
  cron_job_not_found: { status: 404, hint: "listCronJobs() lists the VM's cron jobs." },
  /** The VM has no session with this id, or the session is closed. */
  session_not_found: {
    status: 404,
    hint: "listPersistedSessions() lists the sessions that the VM has stored.",
  },
  /** The session has no open permission request with this id: it was answered, or its time is over. */
  permission_not_found: { status: 404 },
  /** The server has no coding agent with this name. */
  unknown_agent_type: { status: 404, hint: "listAgents() lists the agents of the server." },
  /** The server's host lacks the coding agent's program. */
  agent_not_installed: {
    status: 424,
    hint: "Install the agent on the server's host and restart the server.",
  },
  /** The agent did not start, broke its protocol, or refused a request. */
  agent_failed: { status: 502 },
  /** The agent answered a prompt with an error. Its text is the message. */
  agent_error: { status: 502 },
  /** The agent's process ended while it was needed. */
  agent_crashed: {
    status: 502,
    hint: "The next prompt restarts the agent and gives it the conversation so far.",
  },
  /** The VM has no open file or archive transfer with this id. */
  transfer_not_found: {
    status: 404,
    hint: "A transfer ends 60 s after its last use. Start the transfer again.",
  },
  /** The file has changed between the two connections that carried it, so the rest does not fit the beginning. */
  file_changed: {
    status: 409,
    hint: "Read the file again from its beginning.",
  },
  /** The call would pass a limit. `metadata.limit` names it, `metadata.value` is its value. */
  limit_exceeded: { status: 429 },
  /** The result is larger than one message can carry. */
  response_too_large: { status: 413 },
  /**
   * The server, or the runtime of the VM, cannot do this. If the runtime lacks `metadata.capability`, `metadata.runtime` names the
   * runtime. `metadata.hint` says what to do.
   */
  not_supported: { status: 501 },
  /** The VM did not boot. */
  boot_failed: {
    status: 500,
    hint: "Run `npx agent-vm doctor` on the server's host. The next action boots the VM again.",
  },
  /** A hook of the server's own code has failed, or has taken too long. `metadata.hook` names it. */
  hook_failed: {
    status: 500,
    hint: "The server's log has the error of the hook. The next action boots the VM again.",
  },
  /** The VM stopped before the call ended. */
  vm_stopped: { status: 503, hint: "The next action boots the VM again." },
  /** The server shuts down. It has not begun the call. */
  server_stopping: { status: 503, hint: "The client repeats the call when the server is back." },
  /** The server's host has too little left for another awake VM. `metadata.resource` is `descriptors`, `memory`, `processes` or `uids`; it is absent if no server behind a Rivet Engine has room. */
  server_full: { status: 503, hint: "Put VMs to sleep, or give the server's host more." },
  /** The VM has no snapshot with this id. */
  snapshot_not_found: { status: 404, hint: "listSnapshots() lists the VM's snapshots." },
  /** The archive is damaged, too large, or has an entry that may not be imported. */
  invalid_archive: { status: 400, hint: "The VM's files are unchanged." },
  /** The VM has no store for its files. */
  no_storage: { status: 501, hint: "Give createVm() a store, or use the VM through a server." },
  /** Stored content of the VM is missing or unreadable. `metadata.files` lists the files if they are known. */
  storage_damaged: {
    status: 500,
    hint: "restore({ allowMissing: true }) boots the VM without the lost files.",
  },
  /** The VM's files could not be restored whole, so nothing changes them. `metadata.files` lists lost files if they are known. */
  files_read_only: {
    status: 409,
    hint: "restore({ allowMissing: true }) boots the VM without the lost files; restoreSnapshot() replaces all files.",
  },
  /** A newer version of the server has written the VM's files, the data folder or the backup. */
  storage_too_new: {
    status: 500,
    hint: "Run the newer version of the server again. The data is unchanged.",
  },
  /** The host lacks a requirement of file watches, or the watcher of the VM does not start. */
  watch_unavailable: {
    status: 501,
    hint: "Run `npx agent-vm doctor` on the server's host.",
  },
  /** The server's storage refused a read or a write. */
  storage_failed: { status: 500, hint: "Check the server's disk and log. The next checkpoint tries again." },
  /** The server cannot reach the VM's network. */
  network_failed: { status: 500 },
  /** The port in the VM sent no whole HTTP response. */
  fetch_failed: { status: 502 },
  /** The caller of `vmFetch` cancelled the request or disconnected. */
  fetch_aborted: { status: 499 },
  /** The port in the VM did not answer in time. */
  fetch_timeout: { status: 504, hint: "Pass a larger timeoutMs, or open the port through a preview URL." },
  /** The caller of `waitForPort` cancelled the wait or disconnected. */
  wait_aborted: { status: 499 },
  /** Nothing listened on the port in time. */
  port_timeout: { status: 504, hint: "listPorts() lists the ports that the VM listens on." },
  /** No connection waits for the answer: it was answered, has timed out, or the policy or the VM has changed. */
  network_request_not_found: { status: 404, hint: "listNetworkRequests() lists the questions that wait." },
  /** The preview URL is unknown or has expired. */
  preview_denied: { status: 403, hint: "createSignedPreviewUrl() makes a new URL." },
  /** The server in the VM speaks only HTTP/2, as gRPC servers do. Requests and previews speak HTTP/1.1. */
  http2_not_supported: { status: 502, hint: "Use tunnel() to reach the port: see docs/tunnels.md." },
  /** The preview needs a password, or a token of the server. */
  preview_locked: {
    status: 401,
    hint: "Send the password as Basic authentication with any user, or the token as `Authorization: Bearer`. A browser gets a form.",
  },
  /** The server failed to serve the preview. */
  preview_failed: { status: 502 },
  /** The outcome of the call is lost. The call may or may not have taken effect. */
  call_lost: { status: 503, hint: "Check whether the call took effect before you repeat it." },
  /** The client cannot reach the server, or lost its connection for too long. */
  connection_lost: { status: 503 },
  /** The server has no actor with this key or id. */
  actor_not_found: { status: 404, hint: "getOrCreate() creates an actor that does not exist yet." },
  /** The server has no actor type with this name. `metadata.known` lists the names it has. */
  actor_type_not_found: { status: 404 },
  /** The VM has been destroyed. */
  vm_destroyed: { status: 410, hint: "getOrCreate() makes a new VM with the key." },
  /** The VM has no action with this name. */
  action_not_found: { status: 404 },
  /** An actor with this key exists already. */
  duplicate_key: { status: 409, hint: "getOrCreate() returns the actor that has the key." },
  /** Another process listens on the server's port. */
  port_in_use: {
    status: 500,
    hint: "Stop that process, or choose another port: `port` of setup(), PORT of `agent-vm serve`.",
  },
  /** Another server uses the data folder. */
  data_in_use: {
    status: 500,
    hint: "Stop that server, or choose another folder: `dataDir` of setup(), AGENT_VM_DATA of `agent-vm serve`.",
  },
  /** A restore of the data folder broke off. */
  restore_unfinished: {
    status: 500,
    hint: "Run `npx agent-vm restore DIR` again. It begins from the start.",
  },
  /** The folder is not a whole backup: its making broke off, or a file is missing or damaged. */
  invalid_backup: { status: 500, hint: "Use another backup. The data folder is unchanged." },
  /** The server cannot listen on its port. */
  listen_failed: { status: 500 },
  /** The server met an error that it does not expect. `metadata.errorId` finds it in the server's log. */
  internal_error: { status: 500, hint: "Read the server's log." },
  /** The server sent a code that this version of the client does not know. `metadata.code` has it. */
  unknown_error: { status: 500, hint: "Update agent-vm on the client." },
} as const satisfies Record<string, ErrorDefinition>;

/**
 * Codes of Linux that calls pass on. `EIO` stands for any other code of the kernel.
 * @internal exported for the page of errors
 */
export const POSIX_DEFINITIONS = {
  /** The argument list is too long. */
  E2BIG: { status: 413 },
  /** The VM's user has no permission. */
  EACCES: { status: 403 },
  /** The address is in use. */
  EADDRINUSE: { status: 409 },
  /** The address is not available. */
  EADDRNOTAVAIL: { status: 400 },
  /** The VM has as many processes as it may have, or a resource is busy. */
  EAGAIN: { status: 503 },
  /** The descriptor or transfer is closed. */
  EBADF: { status: 400 },
  /** The file or directory is in use, for example as a mount point. */
  EBUSY: { status: 409 },
  /** The operation was cancelled. */
  ECANCELED: { status: 499 },
  /** The connection was aborted. */
  ECONNABORTED: { status: 502 },
  /** Nothing listens on the port. */
  ECONNREFUSED: { status: 502 },
  /** The peer reset the connection. */
  ECONNRESET: { status: 502 },
  /** The user's disk quota is used up. */
  EDQUOT: { status: 507 },
  /** The path exists already. */
  EEXIST: { status: 409 },
  /** The file is too large for this call. */
  EFBIG: { status: 413 },
  /** The host cannot be reached. */
  EHOSTUNREACH: { status: 502 },
  /** The name is not valid in its encoding. */
  EILSEQ: { status: 400 },
  /** The system call was interrupted. */
  EINTR: { status: 503 },
  /** The kernel rejects the argument. */
  EINVAL: { status: 400 },
  /** Reading or writing failed in the kernel, or the kernel gave a code outside this list. */
  EIO: { status: 500 },
  /** The path is a directory. */
  EISDIR: { status: 400 },
  /** The path goes through too many symbolic links. */
  ELOOP: { status: 400 },
  /** The process has as many open descriptors as it may have. */
  EMFILE: { status: 503, hint: "Close descriptors, or raise limits.openFiles." },
  /** The file has as many hard links as it may have. */
  EMLINK: { status: 409 },
  /** The path, or a name in it, is too long. */
  ENAMETOOLONG: { status: 400 },
  /** The network is unreachable. */
  ENETUNREACH: { status: 502 },
  /** The host has as many open descriptors as it may have. */
  ENFILE: { status: 503 },
  /** The kernel has no buffer space left. */
  ENOBUFS: { status: 503 },
  /** The extended attribute does not exist. */
  ENODATA: { status: 404 },
  /** The device does not exist. */
  ENODEV: { status: 404 },
  /** The file or directory does not exist. */
  ENOENT: { status: 404 },
  /** The file is not a program. */
  ENOEXEC: { status: 400 },
  /** The kernel has no memory left for this operation. */
  ENOMEM: { status: 503 },
  /** The VM's file tree has no space or no inode left. */
  ENOSPC: {
    status: 507,
    hint: "Delete files, or raise limits.filesystemBytes, limits.memoryBytes or limits.inodes.",
  },
  /** The kernel lacks the system call. */
  ENOSYS: { status: 501 },
  /** The peer is not connected. */
  ENOTCONN: { status: 502 },
  /** A part of the path is not a directory. */
  ENOTDIR: { status: 400 },
  /** The directory is not empty. */
  ENOTEMPTY: { status: 409 },
  /** The file system does not support the operation. */
  ENOTSUP: { status: 501 },
  /** The file is not a terminal. */
  ENOTTY: { status: 400 },
  /** The device does not exist, or nothing reads the FIFO. */
  ENXIO: { status: 400 },
  /** The socket or file does not support the operation. */
  EOPNOTSUPP: { status: 501 },
  /** The value does not fit its type. */
  EOVERFLOW: { status: 413 },
  /** The VM's user may not do this. */
  EPERM: { status: 403 },
  /** The reader has closed its end. */
  EPIPE: { status: 502 },
  /** The peer broke the protocol. */
  EPROTO: { status: 502 },
  /** The value is out of range. */
  ERANGE: { status: 400 },
  /** The path is read-only: /proc, /dev, /sys, or files of the host. */
  EROFS: { status: 403 },
  /** The file cannot be sought. */
  ESPIPE: { status: 400 },
  /** The process does not exist. */
  ESRCH: { status: 404 },
  /** The file was replaced while it was in use. */
  ESTALE: { status: 409 },
  /** The peer did not answer in time. */
  ETIMEDOUT: { status: 504 },
  /** The program file is running. */
  ETXTBSY: { status: 409 },
  /** The two paths are on different file systems. */
  EXDEV: { status: 400 },
} as const satisfies Record<string, ErrorDefinition>;

/** A code of this package. docs/errors.md describes each. */
export type ErrorCode = keyof typeof ERROR_DEFINITIONS;

/** A code of Linux, such as `ENOENT`. docs/errors.md describes each. */
export type PosixCode = keyof typeof POSIX_DEFINITIONS;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_DEFINITIONS, code);
}

export function isPosixCode(code: string): code is PosixCode {
  return Object.hasOwn(POSIX_DEFINITIONS, code);
}

export function definitionOf(code: ErrorCode | PosixCode): ErrorDefinition {
  return isPosixCode(code) ? POSIX_DEFINITIONS[code] : ERROR_DEFINITIONS[code];
}
