/** Limits of the kernel sandbox. `npm run docs` writes docs/limits.md from these comments. */

import { KIB, MIB } from "../../../api/units.ts";

/**
 * Output pipes of ended commands that processes of one VM still hold.
 * @unit pipes
 * @past The server closes the oldest pipe. A process that writes to it gets SIGPIPE.
 */
export const MAX_LEFT_PIPES = 256;

/**
 * Command line of one process in `allProcesses` and `processTree`.
 * @unit bytes
 * @past The rest is left out.
 */
export const MAX_PROCESS_ARGUMENTS_BYTES = 128 * KIB;

/**
 * Arguments of one process in `allProcesses` and `processTree`.
 * @unit arguments
 * @past The rest is left out.
 */
export const MAX_PROCESS_ARGUMENTS = 4096;

/**
 * Command lines of all processes in one `allProcesses` or `processTree`.
 * @unit bytes
 * @past Further `args` are cut or empty.
 */
export const MAX_LISTED_BYTES = 4 * MIB;

/**
 * Arguments of all processes in one `allProcesses` or `processTree`.
 * @unit arguments
 * @past Further `args` are cut or empty.
 */
export const MAX_LISTED_ARGUMENTS = 32_768;

/**
 * Threads of the server that make system calls in which a program of a VM can keep them waiting: on files that programs use, and on
 * files of /proc. One VM has one of them. VMs that have kept a thread waiting have one more for all of them, for 600 times as long as
 * they have done so. A call that is late for the first time does not count, if the pool (UV_THREADPOOL_SIZE) has a thread to spare.
 * @unit threads
 * @past Further calls wait.
 */
export const MAX_WAITING_THREADS = 2;

/**
 * Time for one read of the command line of a process, or of its wait for input. The kernel keeps a reader waiting while a process
 * changes its memory map.
 * @unit ms
 * @past Further `args` of the list are empty, `command` is the kernel's short name, and `waitingForInput` is `false`.
 */
export const PROCESS_READS_TIMEOUT_MS = 2_000;

/**
 * Time for one look at command lines of a VM's processes, names of programs that listen, or waits for input. A busy server takes long for
 * many processes.
 * @unit ms
 * @past As for PROCESS_READS_TIMEOUT_MS.
 */
export const PROCESS_LOOK_TIMEOUT_MS = 20_000;

/**
 * Threads of one VM that are examined at once for `waitingForInput`.
 * @unit threads
 * @past `waitingForInput` of further processes is `false`.
 */
export const MAX_EXAMINED_THREADS = 512;

/**
 * Extended attributes of one file or directory, names and values.
 * @unit bytes
 * @past The attributes of the last checkpoint stay. `checkpoint` lists the file in `unreadable`.
 */
export const MAX_ATTRIBUTES_BYTES = 64 * KIB;

/**
 * Directories that the file watches of one VM follow.
 * @unit directories
 * @past `watchFiles` is refused. A directory that is created later is not followed, and the watch reports
 * `overflow`.
 * @code limit_exceeded
 */
export const MAX_WATCHED_DIRECTORIES = 20_000;

/**
 * Files and directories in the watched directories of one VM.
 * @unit files and directories
 * @past `watchFiles` is refused. Entries that are created later are not followed, and the watch reports
 * `overflow`.
 * @code limit_exceeded
 */
export const MAX_WATCHED_ENTRIES = 200_000;

/**
 * Connections of the server into one VM.
 * @unit connections
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_VM_CONNECTIONS = 512;

/**
 * Connections of a VM's programs that the server accepts in a second, through the proxy and past it each.
 * @unit connections
 * @past Further ones wait in the kernel. It drops those past its queue, and programs send them again.
 */
export const MAX_ACCEPTS_PER_SECOND = 500;

/**
 * Time for a port in the VM to accept a connection.
 * @unit ms
 * @past The server cancels the connection.
 * @code ETIMEDOUT
 */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Sockets in the result of `listPorts`, for IPv4 and IPv6 each.
 * @unit sockets
 * @past Further sockets are left out.
 */
export const MAX_LISTED_PORTS = 1024;

/**
 * Programs of a VM that call the host at once, MCP servers among them.
 * @unit programs
 * @past A further program ends with exit code 1.
 */
export const MAX_HOST_CALLERS = 64;

/**
 * Arguments of a program that calls the host, together.
 * @unit bytes
 * @past The server cuts the program off.
 */
export const MAX_CALL_ARGUMENT_BYTES = 2 * MIB;

/**
 * Piece of stdin that a program sends to the host at once.
 * @unit bytes
 * @past The server cuts the program off.
 */
export const MAX_CALL_PIECE_BYTES = 64 * 1024;

/**
 * Arguments of a program that calls the host.
 * @unit arguments
 * @past The server cuts the program off.
 */
export const MAX_CALL_ARGUMENTS = 4096;

/**
 * Output of the host that the programs of one VM have not read yet.
 * @unit bytes
 * @past The server cuts off the program that gets more.
 */
export const MAX_UNREAD_CALL_BYTES = 16 * MIB;

/**
 * Time for a program that has connected to the host to say what it wants, and for the rest of a message that has begun.
 * @unit ms
 * @past The server cuts the program off.
 */
export const CALL_GREETING_MS = 10_000;

/**
 * Input in the server's memory that the commands, processes and agents of one VM have not read.
 * @unit bytes
 * @past Further input waits in the VM's own file tree, as a file without a name. If the tree has no room, the call fails before its command starts. If it is read-only, that is `limit_exceeded`.
 * @code ENOSPC
 */
export const MAX_STDIN_BYTES = 32 * MIB;

/**
 * Input in the server's memory that the programs of all VMs have not read, without the first SMALL_STDIN_BYTES of each VM.
 * @unit bytes
 * @past Further input waits in the file tree of its VM, as with MAX_STDIN_BYTES.
 * @code ENOSPC
 */
export const MAX_SERVER_STDIN_BYTES = 128 * MIB;

/**
 * Unread input that each VM has in the server's memory at any time.
 * @unit bytes
 * @past MAX_SERVER_STDIN_BYTES applies.
 */
export const SMALL_STDIN_BYTES = 1 * MIB;

/**
 * Input that the terminals of one VM have not taken, with 256 bytes for each piece.
 * @unit bytes
 * @past `writeShell` is refused.
 * @code limit_exceeded
 */
export const MAX_TERMINAL_INPUT_BYTES = 16 * MIB;

/**
 * Input that the terminals of all VMs have not taken, without the first SMALL_TERMINAL_INPUT_BYTES of each VM.
 * @unit bytes
 * @past `writeShell` is refused.
 * @code limit_exceeded
 */
export const MAX_SERVER_TERMINAL_INPUT_BYTES = 64 * MIB;

/**
 * Input of its terminals that each VM has in the server's memory at any time.
 * @unit bytes
 * @past MAX_SERVER_TERMINAL_INPUT_BYTES applies.
 */
export const SMALL_TERMINAL_INPUT_BYTES = 2 * MIB;
