import process from "node:process";
import { printable } from "../../base/printable.ts";
import { UsageError } from "../exit-codes.ts";
import { hasPerson } from "./streams.ts";

/** A possible answer. */
export interface Choice {
  value: string;
  label: string;
}

/**
 * Asks before something that cannot be taken back.
 *
 * @throws UsageError in a script, which cannot answer
 */
export async function confirm(question: string, option: string): Promise<boolean> {
  if (!hasPerson())
    throw new UsageError(`${printable(question)} Pass ${option} to do it without this question`);
  const { confirm: ask } = await import("@clack/prompts");
  return (await ask({ message: printable(question), initialValue: false, output: process.stderr })) === true;
}

/** Lets a person choose. @returns `undefined` if the person gives no answer */
export async function choose(question: string, choices: readonly Choice[]): Promise<string | undefined> {
  const { select } = await import("@clack/prompts");
  const answer = await select({
    message: printable(question),
    options: choices.map(({ value, label }) => ({ value, label: printable(label) })),
    output: process.stderr,
    showInstructions: false,
  });
  return typeof answer === "string" ? answer : undefined;
}
