/** Every limit of the wire and of the API, with its unit. All are listed in docs/limits.md. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** One message, either way; RivetKit cannot carry 32 MiB. */
export const MAX_MESSAGE_BYTES = 31 * MIB;

/** What an action's result may come to, leaving room for the frame around it. */
export const MAX_RESULT_BYTES = MAX_MESSAGE_BYTES - 64 * KIB;

/** The client splits files above this size, and each piece is this large. */
export const TRANSFER_CHUNK_BYTES = 8 * MIB;

/** Largest file that is read in one piece; beyond it, EFBIG. */
export const MAX_READ_FILE_BYTES = 2048 * MIB;

/** Open transfers of one VM. */
export const MAX_TRANSFERS = 64;

/** Archives of one VM that are being made at a time: each holds a list of what is in it. */
export const MAX_ARCHIVE_READS = 8;

/** One header of a tar archive, such as a long name or what pax adds. */
export const MAX_ARCHIVE_HEADER_BYTES = 1 * MIB;

/** The archive of `rootFilesystem`, as it lies on the host; the server keeps it in memory. */
export const MAX_ROOT_ARCHIVE_BYTES = 1024 * MIB;

/** A transfer that nobody uses for this long is given up. */
export const TRANSFER_IDLE_MS = 60_000;

/** Largest file that a transfer writes. */
export const MAX_TRANSFER_BYTES = 1024 * 1024 * MIB;

/** One processOutput or shellData event. */
export const MAX_EVENT_DATA_BYTES = 192 * KIB;

/** Kept output of one process, for readProcessOutput. */
export const PROCESS_REPLAY_BYTES = 1 * MIB;

/** Kept output of all processes of one VM. */
export const MAX_KEPT_OUTPUT_BYTES = 64 * MIB;

/** What a piece of kept output counts besides its bytes. */
export const REPLAY_CHUNK_BYTES = 32;

/** Captured output of all execs of one VM that run. */
export const MAX_CAPTURED_BYTES = 128 * MIB;

/** Kept output of one shell, for readShell. */
export const SHELL_SCROLLBACK_BYTES = 256 * KIB;

/** Ended processes that listProcesses remembers. */
export const MAX_ENDED_PROCESSES = 1024;

/** Ended shells that readShell and waitShell remember. */
export const MAX_ENDED_SHELLS = 64;

/** Open shells of one VM. */
export const MAX_OPEN_SHELLS = 64;

/** Bytes written to a process's stdin that it has not read yet. */
export const MAX_PENDING_STDIN_BYTES = 32 * MIB;

/** Bytes written to a shell that its terminal has not taken yet. */
export const MAX_PENDING_SHELL_BYTES = 1 * MIB;

/** Output pipes of ended commands that background children of one VM hold. */
export const MAX_LEFT_PIPES = 256;

/** Command line of one process in allProcesses and processTree. */
export const MAX_PROCESS_ARGUMENTS_BYTES = 128 * KIB;
export const MAX_PROCESS_ARGUMENTS = 4096;

/** All command lines of one allProcesses or processTree. */
export const MAX_LISTED_BYTES = 4 * MIB;
export const MAX_LISTED_ARGUMENTS = 32_768;

/** A path, as in Linux (PATH_MAX counts the final NUL). */
export const MAX_PATH_BYTES = 4095;

/** One argument of a command, as in Linux (MAX_ARG_STRLEN counts the final NUL). */
export const MAX_ARGUMENT_BYTES = 128 * KIB - 1;

/** All arguments and variables of one command together. */
export const MAX_ARGUMENTS_BYTES = 1 * MIB;

/** Entries of one readFiles or writeFiles. */
export const MAX_BATCH_ENTRIES = 10_000;

/** Rows and columns of a terminal. */
export const MAX_TERMINAL_CELLS = 4096;

/** Longest timeout: what a timer can hold. */
export const MAX_TIMEOUT_MS = 2_147_483_647;

/** Calls of one VM that run or whose outcome is kept. */
export const MAX_CALLS = 4096;

/** Outcomes kept for clients that have not received them. */
export const MAX_KEPT_OUTCOME_BYTES = 64 * MIB;

/** An outcome that nobody asked for again is dropped after this long. */
export const CALL_RETENTION_MS = 5 * 60_000;

/** Bytes that wait to be sent to one client; a client that is slower is disconnected. */
export const MAX_CLIENT_BACKLOG_BYTES = 128 * MIB;

/** Highest process id that Linux can give (PID_MAX_LIMIT). */
export const MAX_PID = 4_194_304;

/** Parts of an actor's key, and all of them together. */
export const MAX_KEY_PARTS = 16;
export const MAX_KEY_BYTES = 1024;

/** A name that this API gave out, such as a shell's or a call's. */
export const MAX_ID_BYTES = 256;

/** Keys of calls that are remembered after their outcome was dropped, so that no call runs twice. */
export const MAX_CALL_TOMBSTONES = 65_536;

/** Outcomes that one message acknowledges. */
export const MAX_ACKNOWLEDGED_CALLS = 4096;

/** Cron jobs of one VM. */
export const MAX_CRON_JOBS = 1_000;

/** One cron job, as it is stored. */
export const MAX_CRON_JOB_BYTES = 24 * KIB;

/** A cron expression or timestamp. */
export const MAX_CRON_SCHEDULE_BYTES = 256;

/** Runs of cron jobs that are remembered. */
export const MAX_CRON_RUNS = 1_000;

/** Kept output of one run of a cron job. */
export const CRON_OUTPUT_BYTES = 16 * KIB;

/** Missed ticks that one catch-up runs, and that one record counts. */
export const MAX_CRON_CATCH_UP = 100;

/** Longest `jitterSeconds`. */
export const MAX_CRON_JITTER_SECONDS = 86_400;

/** Commands of cron jobs that run at the same time in one VM; further runs wait. */
export const MAX_CRON_CONCURRENT = 128;

/** Runs of cron jobs that go on or wait in one VM. */
export const MAX_CRON_LIVE_RUNS = 2_000;

/** A client's call waits this long for a lost connection to come back. */
export const RECONNECT_TIMEOUT_MS = 60_000;

/** Between two attempts to connect, at first and at most. */
export const RECONNECT_DELAY_MS = 100;
export const MAX_RECONNECT_DELAY_MS = 2_000;

/** A client asks this often whether its connection still stands; it also keeps address translators from forgetting it. */
export const HEARTBEAT_INTERVAL_MS = 20_000;

/** A connection over which nothing came for this long is made anew. */
export const SILENCE_TIMEOUT_MS = 90_000;

/** A handle's connection is closed this long after its last call. */
export const CONNECTION_LINGER_MS = 1_000;

/** What an actor may take to start: the runtime is loaded with a server's first VM. */
export const START_TIMEOUT_MS = 30_000;

/** What a VM may take to end when its actor sleeps or is destroyed. */
export const DISPOSE_TIMEOUT_MS = 30_000;

/** What all VMs of a server may take to end after SIGTERM. */
export const SHUTDOWN_TIMEOUT_MS = 60_000;

/** A vmFetch is given up when its caller's connection has been gone for this long. */
export const CALL_ABANDON_MS = 10_000;

/** Snapshots of one VM. */
export const MAX_SNAPSHOTS = 128;

/** Extended attributes of one file or directory that are kept. */
export const MAX_ATTRIBUTES_BYTES = 64 * KIB;

/** Extended attributes of all of a VM's files that are kept. */
export const MAX_VM_ATTRIBUTES_BYTES = 16 * MIB;

/** File watches of one VM. */
export const MAX_FILE_WATCHES = 64;

/** Directories that the file watches of one VM follow. */
export const MAX_WATCHED_DIRECTORIES = 20_000;

/** Files and directories that the file watches of one VM know. */
export const MAX_WATCHED_ENTRIES = 200_000;

/** Names that one file watch passes over. */
export const MAX_WATCH_EXCLUDES = 64;

/** fileChanged events of one VM that wait to be sent. */
export const MAX_QUEUED_FILE_EVENTS = 10_000;

/** Connections into one VM at a time. */
export const MAX_VM_CONNECTIONS = 512;

/** A connection into a VM that is not answered within this time is given up. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** Sockets that listPorts tells of, for IPv4 and IPv6 each. */
export const MAX_LISTED_PORTS = 1024;

/** vmFetch waits this long for a whole response, unless told otherwise. */
export const FETCH_TIMEOUT_MS = 30_000;

/** Largest body of a vmFetch response where no message's limit is smaller. */
export const MAX_FETCH_BODY_BYTES = 256 * MIB;

/** waitForPort waits this long, unless told otherwise. */
export const PORT_WAIT_MS = 30_000;

/** A preview URL lives this long, unless told otherwise, and at most. */
export const PREVIEW_SECONDS = 3_600;
export const MAX_PREVIEW_SECONDS = 86_400;

/** Live preview URLs of one VM. */
export const MAX_PREVIEWS = 1024;

/** Requests and WebSockets that go through the previews of one VM. */
export const MAX_PREVIEW_CONNECTIONS = 256;

/** Rules in each list of an outbound policy. */
export const MAX_NETWORK_RULES = 256;

/** Connections that the programs of one VM have open to its proxy. */
export const MAX_OUTBOUND_CONNECTIONS = 256;

/** Names that are resolved for one VM at a time. */
export const MAX_OUTBOUND_LOOKUPS = 16;

/** A connection to the outside that is not answered within this time is given up. */
export const OUTBOUND_CONNECT_TIMEOUT_MS = 20_000;

/** Denials that getNetworkLog remembers. */
export const MAX_NETWORK_LOG = 1_000;

/** networkDenied events of one VM in a second; the log has the others. */
export const MAX_DENIED_EVENTS_PER_SECOND = 20;

/** Open sessions of one VM. */
export const MAX_SESSIONS = 64;

/** Closed sessions whose transcripts one VM keeps. */
export const MAX_CLOSED_SESSIONS = 1_000;

/** One prompt. */
export const MAX_PROMPT_BYTES = 8 * MIB;

/** Prompts of one session that wait for their turn. */
export const MAX_QUEUED_PROMPTS = 64;

/** What sendPrompt answers as `text`. */
export const MAX_PROMPT_TEXT_BYTES = 8 * MIB;

/** One line of an agent's protocol, either way. */
export const MAX_AGENT_LINE_BYTES = 16 * MIB;

/** Arrays and objects within each other in one message of an agent. */
export const MAX_AGENT_MESSAGE_DEPTH = 256;

/** Values in one message of an agent, counted by its brackets and commas. */
export const MAX_AGENT_MESSAGE_VALUES = 100_000;

/** What an agent tells of itself and of what it can do, as JSON. */
export const MAX_AGENT_TRAITS_BYTES = 64 * KIB;

/** What an agent tells of its modes, models and other settings, as JSON. */
export const MAX_AGENT_SETTINGS_BYTES = 1 * MIB;

/** Bytes sent to an agent that it has not read yet. */
export const MAX_PENDING_AGENT_BYTES = 64 * MIB;

/** The end of an agent's stderr that is kept for its errors. */
export const AGENT_STDERR_BYTES = 64 * KIB;

/** Requests of one agent that it has no answer to yet. */
export const MAX_AGENT_REQUESTS = 256;

/** Events of one session that are kept. */
export const MAX_SESSION_EVENTS = 100_000;

/** What the kept events of one session take in the server's storage. */
export const MAX_SESSION_EVENT_BYTES = 256 * MIB;

/** Instructions that createSession takes. */
export const MAX_INSTRUCTIONS_BYTES = 64 * KIB;

/** All options of one createSession, as JSON: they are stored with the session. */
export const MAX_SESSION_OPTIONS_BYTES = 512 * KIB;

/** MCP servers of one session. */
export const MAX_MCP_SERVERS = 64;

/** Requests for permission of one session that wait for an answer. */
export const MAX_PENDING_PERMISSIONS = 64;

/** A request for permission is rejected after this long, unless told otherwise. */
export const PERMISSION_TIMEOUT_MS = 120_000;

/** Time for an agent to say what it is, and to open or load a session. */
export const AGENT_START_TIMEOUT_MS = 30_000;
export const AGENT_SESSION_TIMEOUT_MS = 60_000;

/** Time for an agent to answer a change of its mode, model or configuration. */
export const AGENT_ANSWER_TIMEOUT_MS = 30_000;

/** An agent that was asked to end its turn and goes on for this long is killed. */
export const CANCEL_GRACE_MS = 10_000;

/** Time for an agent to end after each of: the end of its stdin, SIGTERM. */
export const AGENT_STOP_GRACE_MS = 2_000;

/** Crashes in a row after which an agent is not started again by itself. */
export const MAX_AGENT_RESTARTS = 3;

/** Commands that one agent runs through its client. */
export const MAX_AGENT_TERMINALS = 32;

/** Output of such a command that is kept, unless the agent asks for less. */
export const MAX_AGENT_TERMINAL_BYTES = 1 * MIB;
