import { z } from "zod";
import {
  MAX_ARGUMENT_BYTES,
  MAX_ARGUMENTS,
  MAX_ARGUMENTS_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_CRON_SCHEDULE_BYTES,
  MAX_ID_BYTES,
  MAX_KEY_BYTES,
  MAX_KEY_PARTS,
  MAX_PATH_BYTES,
  MAX_PID,
  MAX_TERMINAL_CELLS,
  MAX_TIMEOUT_MS,
} from "./limits.ts";
import { MAX_SIGNAL, signalName } from "./signals.ts";
import { fitsUtf8, utf8Length } from "./size.ts";

/** Bytes: a `Uint8Array`, or a string that is encoded as UTF-8. */
export type Bytes = string | Uint8Array;

/** Variables of one command, merged over the VM's base environment. */
export type Env = Record<string, string>;

/** A signal by name (`"SIGTERM"`, `"TERM"`) or by number. */
export type Signal = string | number;

// Building blocks of the argument schemas. Each message completes "Expected `x` to be ...".

/** Schema of a string in a command's arguments or environment. */
export function argument(what = "a string"): z.ZodType<string> {
  return z
    .string({ error: what })
    .refine((text) => !text.includes("\0"), { error: `${what} without NUL`, abort: true })
    .refine((text) => fitsUtf8(text, MAX_ARGUMENT_BYTES), { error: `at most ${MAX_ARGUMENT_BYTES} bytes` });
}

export const program = argument("the name or path of a program").refine((name) => name !== "", {
  error: "the name or path of a program",
});

/** Schema of an id that this API returned, or of a token. */
export const id: z.ZodType<string> = z
  .string({ error: "a string" })
  .min(1, { error: "a non-empty string" })
  .refine((text) => fitsUtf8(text, MAX_ID_BYTES), { error: `at most ${MAX_ID_BYTES} bytes` });

/** Schema of an actor's key. `"a"` means `["a"]`. */
export const actorKey: z.ZodType<string | string[]> = z
  .union([z.string(), z.array(z.string()).min(1).max(MAX_KEY_PARTS)], {
    error: `a string, or an array of 1 to ${MAX_KEY_PARTS} strings`,
  })
  .refine((key) => [key].flat().every((part) => part !== ""), { error: "a key without empty parts" })
  .refine((key) => fitsUtf8([key].flat().join("/"), MAX_KEY_BYTES), {
    error: `a key of at most ${MAX_KEY_BYTES} bytes`,
  });

/** Schema of a path. The file system checks that a path is absolute, normalized and short enough. */
export const path: z.ZodType<string> = z.string({ error: "a path" });

/** Schema of a batch's paths. It checks only types, because each entry of a batch reports its own error. */
export const paths = z
  .array(z.string({ error: "a path" }), { error: "an array of paths" })
  .max(MAX_BATCH_ENTRIES, { error: `at most ${MAX_BATCH_ENTRIES} paths` });

/** Starts a message that stands for itself, without "Expected `x` to be". */
export const WHOLE = "\u0000";

export const cwd: z.ZodType<string> = path
  .refine((text) => fitsUtf8(text, MAX_PATH_BYTES), { error: `a path of at most ${MAX_PATH_BYTES} bytes` })
  .refine((text) => text.startsWith("/"), {
    error: (issue) => `${WHOLE}Path must be absolute: ${issue.input}`,
    abort: true,
  })
  .refine((text) => !text.includes("\0"), { error: "a path without NUL" });

export const binary: z.ZodType<Uint8Array> = z
  .custom<Uint8Array | ArrayBuffer>((value) => value instanceof Uint8Array || value instanceof ArrayBuffer, {
    error: "bytes",
  })
  .transform((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value));

export const bytes: z.ZodType<Bytes> = z.union([z.string(), binary], { error: "a string or bytes" });

/** Makes a schema of a whole number from `minimum` to `maximum`. */
export function integer(minimum: number, maximum: number, error: string): z.ZodType<number> {
  return z.int({ error }).min(minimum, { error }).max(maximum, { error });
}

export const bool = z.boolean({ error: "a boolean" });
export const text = z.string({ error: "a string" });
export const pid = integer(1, MAX_PID, `a process id from 1 to ${MAX_PID}`);
export const cells = integer(1, MAX_TERMINAL_CELLS, `an integer from 1 to ${MAX_TERMINAL_CELLS}`);
export const timeout = integer(
  0,
  MAX_TIMEOUT_MS,
  `a non-negative integer of milliseconds, at most ${MAX_TIMEOUT_MS}`,
);
export const port = integer(1, 65_535, "a port from 1 to 65535");
export const offset = integer(0, Number.MAX_SAFE_INTEGER, "a non-negative integer");

/** Schema of a schedule. The runtime parses it. */
export const cronSchedule = text.refine((schedule) => fitsUtf8(schedule, MAX_CRON_SCHEDULE_BYTES), {
  error: `a string of at most ${MAX_CRON_SCHEDULE_BYTES} bytes`,
});

/** Schema of a time zone's name. An offset such as +02:00 is refused, because it has no daylight saving time. */
export const timezone = text.refine(isTimeZone, {
  error: 'the IANA name of a time zone, such as "Europe/Berlin"',
});

function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const args = z
  .array(argument(), { error: "an array of strings" })
  .refine((list) => list.length <= MAX_ARGUMENTS, { error: `at most ${MAX_ARGUMENTS} strings` });

/** Whether a variable fits the kernel's limit for one argument, as `NAME=value`. */
export function fitsVariable([name, value]: [string, string]): boolean {
  return fitsUtf8(`${name}=${value}`, MAX_ARGUMENT_BYTES);
}

/** Whether all arguments and variables of a command fit together, as execve(2) counts them. */
export function fitsCommand(argv: readonly string[], variables: Record<string, string> = {}): boolean {
  let total = 0;
  for (const word of argv) total += utf8Length(word) + 1;
  for (const [name, value] of Object.entries(variables)) total += utf8Length(name) + utf8Length(value) + 2;
  return total <= MAX_ARGUMENTS_BYTES;
}

export const env: z.ZodType<Env> = z
  .record(z.string(), argument(), { error: "an object of strings" })
  .refine((variables) => Object.keys(variables).every((name) => name !== "" && !/[=\0]/.test(name)), {
    error: "an object whose keys are non-empty and without = and NUL",
  })
  .refine((variables) => Object.entries(variables).every(fitsVariable), {
    error: `an object of variables of at most ${MAX_ARGUMENT_BYTES} bytes each, name and value together`,
  });

export const signal: z.ZodType<Signal> = z
  .custom<Signal>(
    (value) =>
      typeof value === "string"
        ? signalName(value) !== undefined
        : Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_SIGNAL,
    { error: `a signal's name, such as "SIGTERM", or its number from 0 to ${MAX_SIGNAL}` },
  )
  .transform((value) => (typeof value === "string" ? (signalName(value) ?? value) : value));

/** Schema of a function that only this package's client takes. It never crosses the wire. */
export const clientOnly = z
  .undefined({
    error: `${WHOLE}A function cannot cross the wire. Use \`onData\` with the client of agent-vm/client.`,
  })
  .optional();

/** Makes a schema of an object with these keys. Another key is refused by name. */
export function options<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? undefined : "an object"),
  });
}
