import { asCaller } from "../../base/caller.ts";
import { EndSignal } from "../../base/end-signal.ts";
import { jsonValues } from "../../base/json-values.ts";
import { unlessAborted } from "../../base/within.ts";
import type { CatalogFunction } from "./catalog.ts";
import { UsageError } from "./flags.ts";
import { commandOf } from "./help.ts";
import {
  MAX_HOST_CALLS,
  MAX_HOST_INPUT_BYTES,
  MAX_HOST_INPUT_DEPTH,
  MAX_HOST_INPUT_VALUES,
  MAX_HOST_MESSAGE_LENGTH,
  MAX_HOST_RESULT_BYTES,
} from "./limits.ts";
import type { HostFunctionContext, HostVm } from "./types.ts";

const INPUT_LIMITS = { levels: MAX_HOST_INPUT_DEPTH, values: MAX_HOST_INPUT_VALUES };

/** Issues of an input that an error names. */
const MAX_ISSUES = 5;

export interface FunctionCall extends Omit<HostFunctionContext, "vm" | "signal"> {
  called: CatalogFunction;
  /** Input that is not checked yet. */
  input: unknown;
  /** Each of them ends the call. */
  signals: readonly AbortSignal[];
}

/** Runs host functions for one VM, at most MAX_HOST_CALLS at once. */
export class HostCalls {
  readonly #vm: HostVm;
  readonly #keepAwake: (work: Promise<unknown>) => void;
  #running = 0;

  constructor(vm: HostVm, keepAwake: (work: Promise<unknown>) => void) {
    this.#vm = vm;
    this.#keepAwake = keepAwake;
  }

  /**
   * Calls a function.
   *
   * @returns its result as JSON
   * @throws Error whose message is for the program's user
   */
  async run({ called, input, signals, ...context }: FunctionCall): Promise<string> {
    if (this.#running >= MAX_HOST_CALLS) {
      throw new UsageError(
        `Too many calls of host functions at once (MAX_HOST_CALLS = ${MAX_HOST_CALLS}). Try again later.`,
      );
    }
    const late = new UsageError(`${commandOf(called)} took longer than ${called.timeout} ms`);
    const end = new EndSignal(signals).after(called.timeout, () => late);
    const ends = end.signal;
    this.#running += 1;
    // No client has asked for this work, even if a client's call has started the program.
    const work = asCaller({}, async () => {
      const checked = await check(called, input);
      ends.throwIfAborted();
      return await called.execute(checked, {
        ...context,
        // A program that does not read its output must not hold a call that has ended.
        progress: (message) => unlessAborted(context.progress(message), ends),
        stdin: untilAborted(context.stdin, ends),
        vm: this.#vm,
        signal: ends,
      });
    }).finally(() => {
      this.#running -= 1;
    });
    this.#keepAwake(work);
    try {
      return resultOf(await unlessAborted(work, ends));
    } finally {
      end.release();
    }
  }
}

/** Reads pieces until a signal is aborted. @throws the signal's reason */
async function* untilAborted(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal) {
  const iterator = pieces[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await unlessAborted(iterator.next(), signal);
    if (done === true) return;
    yield value;
  }
}

/** Refuses JSON that takes long to parse and to check. @throws UsageError */
export function assertBounded(json: string): void {
  const { excess } = jsonValues(json, INPUT_LIMITS);
  if (excess !== undefined) throw new UsageError(`The input has more than ${INPUT_LIMITS[excess]} ${excess}`);
}

/** Parses JSON input. @throws UsageError */
export function parseInput(text: string): unknown {
  if (Buffer.byteLength(text) > MAX_HOST_INPUT_BYTES)
    throw new UsageError(`The input is larger than ${MAX_HOST_INPUT_BYTES} bytes (MAX_HOST_INPUT_BYTES)`);
  assertBounded(text);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new UsageError(`The input is not JSON: ${(error as Error).message}`);
  }
}

/** The message of an error for a program's user. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : `the function threw ${typeof error}`;
  return text.slice(0, MAX_HOST_MESSAGE_LENGTH);
}

async function check({ inputSchema }: CatalogFunction, input: unknown): Promise<unknown> {
  const parsed = await inputSchema.safeParseAsync(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, MAX_ISSUES).map(({ path, message }) => {
    return path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`;
  });
  throw new UsageError(`Invalid input: ${issues.join("; ")}`);
}

function resultOf(result: unknown): string {
  // Functions and undefined have no JSON.
  const text = JSON.stringify(result) ?? "null";
  if (Buffer.byteLength(text) > MAX_HOST_RESULT_BYTES)
    throw new UsageError(`The result is larger than ${MAX_HOST_RESULT_BYTES} bytes (MAX_HOST_RESULT_BYTES)`);
  return text;
}
