import { type DestinationStream, destination, type LevelWithSilent, type Logger, pino } from "pino";
import { AgentVmError } from "../api/errors.ts";
import { MIB } from "../api/units.ts";
import { printableLine } from "../base/printable.ts";
import { shownError } from "../base/shown-error.ts";

export type { Logger } from "pino";

const SERIALIZERS = { err: (error: unknown) => shownError(error) };

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** Returns the level of RivetKit's own entries. @throws AgentVmError `invalid_argument` */
export function rivetLevel(): string {
  return checkLevel("AGENT_VM_RIVETKIT_LOG_LEVEL", process.env.AGENT_VM_RIVETKIT_LOG_LEVEL || "error");
}

/** Makes a logger show errors without what clients have sent, whatever its own serializers do. */
export function withSafeErrors(logger: Logger): Logger {
  return logger.child({}, { serializers: SERIALIZERS });
}

/** @throws AgentVmError `invalid_argument` */
function checkLevel(name: string, level: string): string {
  if ((LEVELS as readonly string[]).includes(level)) return level;
  throw new AgentVmError(
    "invalid_argument",
    `Expected ${name} to be one of ${LEVELS.join(", ")}, got ${JSON.stringify(level)}`,
  );
}

/**
 * Makes the server's logger, which writes one JSON object per line to stderr. No line has an argument of a
 * call, a path, content of a file, an environment value or a token.
 *
 * @param level lowest level that is written. @default AGENT_VM_LOG_LEVEL, or "warn"
 * @param stream receives the lines. @default stderr
 * @throws AgentVmError `invalid_argument` for an unknown level.
 */
export function createLogger(
  level: string = process.env.AGENT_VM_LOG_LEVEL || "warn",
  stream: DestinationStream = stderr(),
): Logger {
  checkLevel("AGENT_VM_LOG_LEVEL", level);
  return pino(
    {
      level: level as LevelWithSilent,
      base: { name: "agent-vm" },
      serializers: SERIALIZERS,
    },
    // JSON escapes line ends and ESC, but neither C1 controls nor bidirectional controls.
    { write: (line) => stream.write(printableLine(line.replace(TOKENS, "[token]"))) },
  );
}

/** Opens the log of this process. A full disk, or a terminal that has gone, must not end the server: lines wait, or are lost. */
function stderr(): DestinationStream {
  const stream = destination({ dest: 2, sync: true, maxLength: MIB });
  stream.on("error", () => undefined);
  return stream;
}

/** Where RivetKit's debug entries have tokens: fields of paths and parameters, a gateway's path, and tokens of this package. */
const TOKENS = /(?<="token":")[^"]+|(?<=\/gateway\/[\w%-]+@)[^/"?#\\\s]+|\bavm_[\w.-]+/g;
