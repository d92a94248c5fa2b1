import { invalidArgument, tooManyArguments, unknownOption } from "../api/errors.ts";

/** A check of one value, and the words that complete "Expected `x` to be". */
export type Rule = readonly [fits: (value: unknown) => boolean, expected: string];

/** A rule for each option of a call. */
export type Rules<Options> = { readonly [Name in keyof Required<Options>]: Rule };

/** Takes a function. */
export const callback: Rule = [(value) => typeof value === "function", "a function"];

/** Takes `true` and `false`. */
export const flag: Rule = [(value) => typeof value === "boolean", "a boolean"];

/** Takes a string. */
export const aString: Rule = [(value) => typeof value === "string", "a string"];

/** Takes a string that is not empty. */
export const someText: Rule = [(value) => typeof value === "string" && value !== "", "a non-empty string"];

/** Takes a path. */
export const aPath: Rule = [(value) => typeof value === "string", "a path"];

/** Takes every value: the server checks it. */
export const anything: Rule = [() => true, "a value"];

/** Takes an AbortSignal, also of a polyfill. */
export const abortSignal: Rule = [
  (value) => {
    const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
    return typeof aborted === "boolean" && typeof addEventListener === "function";
  },
  "an AbortSignal",
];

/** @throws AgentVmError `invalid_argument` for a value that does not fit */
export function check(argument: string, value: unknown, [fits, expected]: Rule): void {
  if (!fits(value)) throw invalidArgument(argument, expected, value);
}

/**
 * Checks the options of the client itself, which no server sees. `undefined` and `null` stand for no options.
 *
 * @throws AgentVmError `invalid_argument` for an option that is unknown or has another form
 */
export function checkOptions(action: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  if (options === undefined || options === null) return;
  if (typeof options !== "object" || Array.isArray(options))
    throw invalidArgument("options", "an object", options);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) throw unknownOption(action, name, Object.keys(rules));
    if (value !== undefined && value !== null) check(name, value, rule);
  }
}

/** Refuses arguments behind the last one. `undefined` and `null` stand for an argument that is left out. */
export function checkCount(action: string, maximum: number, args: readonly unknown[]): void {
  if (args.slice(maximum).some((arg) => arg !== undefined && arg !== null))
    throw tooManyArguments(action, maximum, args.length);
}
