import { type DestinationStream, destination, type LevelWithSilent, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** What an actor's logger can do in every version of RivetKit. */
export interface ActorLog {
  debug(entry: object): void;
  error(entry: object): void;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/**
 * What RivetKit logs at warn or error although it is everyday life here: a command's ENOENT is the client's to handle,
 * and clients come and go. They are shown from level debug.
 */
const EVERYDAY = new Set([
  "action error",
  "action does not exist",
  "websocket closed",
  "websocket error",
  "attempting to send message to closed websocket, this is likely a bug in RivetKit",
  "cannot send messages to this connection type",
  "subscription does not exist",
  "missing connection driver state for disconnect",
  "disconnecting ws without websocket",
]);

/**
 * The server's logger: one JSON object a line on stderr.
 *
 * @param level AGENT_VM_LOG_LEVEL. @default "warn"
 * @throws Error for a level that does not exist.
 */
export function createLogger(
  level: string = process.env.AGENT_VM_LOG_LEVEL ?? "warn",
  stream: DestinationStream = destination({ dest: 2, sync: true }),
): Logger {
  if (!(LEVELS as readonly string[]).includes(level)) {
    throw new Error(
      `Expected AGENT_VM_LOG_LEVEL to be one of ${LEVELS.join(", ")}, got ${JSON.stringify(level)}`,
    );
  }
  return pino(
    {
      level: level as LevelWithSilent,
      base: { name: "agent-vm" },
      hooks: {
        logMethod(args, method) {
          const [first] = args as [unknown];
          if (isEveryday(first) && !this.isLevelEnabled("debug")) return;
          method.apply(this, args);
        },
      },
    },
    stream,
  );
}

function isEveryday(entry: unknown): boolean {
  if (typeof entry === "string") return EVERYDAY.has(entry);
  return typeof entry === "object" && entry !== null && "msg" in entry && EVERYDAY.has(String(entry.msg));
}
