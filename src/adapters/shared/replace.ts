import { AgentVmError } from "../../api/errors.ts";

/**
 * Replaces a part of a text.
 *
 * @param all whether the part may occur more than once
 * @throws AgentVmError `invalid_argument` if it does not occur, or occurs more than once
 */
export function replaced(
  text: string,
  from: string,
  to: string,
  all: boolean,
): { text: string; count: number } {
  const count = from === "" ? 0 : text.split(from).length - 1;
  if (count === 0) {
    throw new AgentVmError("invalid_argument", "The text to replace does not occur in the file", {
      hint: "Read the file again: the text must match exactly, with its spaces and line ends.",
    });
  }
  if (count > 1 && !all) {
    throw new AgentVmError("invalid_argument", `The text to replace occurs ${count} times`, {
      hint: "Add lines around it, or replace every occurrence.",
    });
  }
  return { text: text.split(from).join(to), count };
}
