import { pause } from "../../../base/pace.ts";
import { printable } from "../../../base/printable.ts";

/**
 * Text in the code blocks of one heading of a transcript as Markdown, with its escapes.
 * @unit characters
 * @past The rest is left out. The transcript as JSON has it.
 */
export const MAX_SHOWN_TEXT = 1024 * 1024;

/** Characters of a title in a heading. */
const MAX_TITLE = 200;

/** Characters that are escaped in one turn of the event loop. */
const SLICE = 16 * 1024;

/** Characters of the longest escape, such as `\u001b`. */
const MAX_ESCAPE = 6;

/** Makes the code blocks of a section, which share the room for a text. Their content cannot leave them. */
export class CodeBlocks {
  readonly #blocks: string[] = [];
  #room = MAX_SHOWN_TEXT;
  #isCut = false;

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  /**
   * Adds a block. Its fence is longer than any run of backticks in it.
   *
   * @param language language of the content, for highlighting
   * @param content is not called if there is no room
   */
  async add(language: "text" | "json" | "diff", content: () => string): Promise<void> {
    if (this.#room === 0) {
      this.#isCut = true;
      return;
    }
    const shown = await this.#take(content());
    const fence = "`".repeat(Math.max(3, longestRun(shown) + 1));
    this.#blocks.push(`${fence}${language}\n${shown}${shown.endsWith("\n") ? "" : "\n"}${fence}\n`);
  }

  toString(): string {
    const note = this.#isCut ? ["(The rest is left out. The transcript as JSON has it.)\n"] : [];
    return [...this.#blocks, ...note].join("\n");
  }

  /** Escapes what there is room for. */
  async #take(content: string): Promise<string> {
    let shown = "";
    for (let at = 0, end = 0; at < content.length && !this.#isCut; at = end) {
      const turn = pause();
      if (turn !== null) await turn;
      end = at + Math.min(SLICE, this.#room);
      if (content[end - 1] === "\r") end++;
      let piece = escaped(content.slice(at, end));
      if (piece.length > this.#room || end === at) {
        this.#isCut = true;
        piece = escaped(content.slice(at, at + Math.floor(this.#room / MAX_ESCAPE)));
      }
      shown += piece;
      this.#room = this.#isCut ? 0 : this.#room - piece.length;
    }
    return shown;
  }
}

/** Makes a code span of one line, which its content cannot leave. */
export function codeSpan(content: string): string {
  const line = printable(content.length > MAX_TITLE ? `${content.slice(0, MAX_TITLE)}…` : content);
  const fence = "`".repeat(longestRun(line) + 1);
  return `${fence} ${line} ${fence}`;
}

/** Escapes control characters, and breaks up long runs of backticks, so that fences stay short. */
function escaped(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(/[^\n\t]+/g, printable)
    .replace(/(`{100})`/g, "$1\\u0060");
}

function longestRun(text: string): number {
  let longest = 0;
  for (let at = 0, run = 0; at < text.length; at++) {
    run = text[at] === "`" ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return longest;
}
