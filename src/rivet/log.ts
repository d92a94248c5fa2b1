import { type Level, type Logger, levels, pino } from "pino";

/** The part of an actor's logger that RivetKit 2.2 and 2.3 have in common. */
export interface ActorLog {
  debug(entry: object): void;
  warn(entry: object): void;
  error(entry: object): void;
}

/**
 * Entries that RivetKit 2.2 logs at level warn or error for normal events: a command's ENOENT is for the client to handle,
 * and clients connect and disconnect.
 */
const ROUTINE = new Set([
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

/** Fields of RivetKit's entries that say what happens, and to which actor. Any other field may carry data of a client. */
const FIELDS = [
  "target",
  "actor",
  "actorId",
  "connId",
  "errorId",
  "code",
  "action",
  "actionName",
  "method",
  "status",
];

/** Fields that carry an error, or its text. */
const ERRORS = ["err", "error", "reason", "cause"];

/** Values of fields that are shown: numbers, and short names. A client chooses the name of an action. */
const NAME = /^[\w.:-]{1,64}$/;

/** Logger name of the actors' own code (`c.log`). RivetKit's own entries have other names. */
const ACTOR_CODE = "actor";

interface RivetLogOptions {
  /** Lowest level of RivetKit's own entries. */
  level: string;
  /** Whether an actor is a VM. The code of every other actor is the user's. */
  isVm(name: string): boolean;
}

/**
 * Makes the logger for RivetKit. Its own entries lose everything that a client may have sent: RivetKit 2.2 logs arguments of
 * calls, URLs with tokens and whole messages. Entries that the code of other actors writes (`c.log`) pass as they are.
 */
export function rivetLogger(logger: Logger, { level, isVm }: RivetLogOptions): Logger {
  // RivetKit names its loggers only if this variable is set.
  process.env.RIVET_LOG_TARGET ??= "1";
  const { values, labels } = levels;
  const lowest = values[level] ?? Number.POSITIVE_INFINITY;
  const both = [level, logger.level].sort((a, b) => rank(a) - rank(b));
  return pino({
    level: both[0] ?? "silent",
    base: null,
    hooks: {
      logMethod(args, _method, number) {
        const label = (labels[number] ?? "error") as Level;
        const bindings = this.bindings();
        if (bindings.target === ACTOR_CODE && !isVm(String(bindings.actor))) {
          logger.child(bindings)[label](...(args as [object, string]));
          return;
        }
        const [entry, text] = args as unknown[];
        const fields = typeof entry === "object" && entry !== null ? (entry as Record<string, unknown>) : {};
        const msg = String(fields.msg ?? (typeof entry === "string" ? entry : (text ?? "")));
        if (number < lowest || (number > values.debug! && lowest > values.debug! && ROUTINE.has(msg))) return;
        logger[label]({ ...safe(bindings), ...safe(fields), ...errorOf(fields, number, msg), msg });
      },
    },
  });
}

function rank(level: string): number {
  return levels.values[level] ?? Number.POSITIVE_INFINITY;
}

function safe(fields: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const name of FIELDS) {
    const value = fields[name];
    if (typeof value === "number" || (typeof value === "string" && NAME.test(value))) shown[name] = value;
  }
  return shown;
}

/** Every line of level error, and every line about an error, has a stack. */
function errorOf(fields: Record<string, unknown>, number: number, msg: string): { err?: Error } {
  const name = ERRORS.find((each) => each in fields);
  if (name === undefined && number < levels.values.error!) return {};
  const found = name === undefined ? undefined : fields[name];
  return { err: found instanceof Error ? found : new Error(msg) };
}
