import type {
  PersistedSessionRecord,
  TranscriptFormat,
  TranscriptPart,
} from "../../../api/methods/session-types.ts";
import { MAX_TRANSCRIPT_EVENT_BYTES, MAX_TRANSCRIPT_PART } from "../limits.ts";
import { codeSpan } from "./markdown.ts";
import { type Section, sectionOf, textBlock } from "./sections.ts";
import type { TranscriptEvent } from "./transcript-store.ts";

interface Source {
  record: PersistedSessionRecord;
  /** Number of the last event that earlier parts have; -1 for the first part. */
  after: number;
  /** The events after it. */
  events: AsyncIterable<TranscriptEvent>;
}

/** Writes a part of a transcript. The parts together are one document. */
interface Writer {
  /** Adds an event. @returns the length of the document so far */
  add(event: TranscriptEvent): number | Promise<number>;
  text(isEnd: boolean): string | Promise<string>;
}

/** Returns the next part of a transcript: whole events, of which at least one, until the part is full. */
export async function exportPart(
  format: TranscriptFormat,
  { record, after, events }: Source,
): Promise<TranscriptPart> {
  const writer = format === "json" ? new JsonWriter(record, after) : new MarkdownWriter(record, after);
  let last = after;
  for await (const event of events) {
    const length = await writer.add(event);
    last = event.seq;
    if (length >= MAX_TRANSCRIPT_PART) return { data: await writer.text(false), last, end: false };
  }
  return { data: await writer.text(true), last, end: true };
}

/**
 * Writes `{ session, events: [{ seq, createdAt, event }] }`, one event a line. An event that no message can carry as JSON has `event: null` and its `bytes`:
 * each control character of a prompt takes six.
 */
class JsonWriter implements Writer {
  #text: string;
  #isFirst: boolean;

  constructor(record: PersistedSessionRecord, after: number) {
    this.#isFirst = after < 0;
    this.#text = this.#isFirst ? `{"session":${JSON.stringify(record)},"events":[` : "";
  }

  add({ seq, createdAt, notification }: TranscriptEvent): number {
    const line = JSON.stringify({ seq, createdAt, event: notification });
    const bytes = Buffer.byteLength(line);
    const shown =
      bytes <= MAX_TRANSCRIPT_EVENT_BYTES ? line : JSON.stringify({ seq, createdAt, event: null, bytes });
    this.#text += `${this.#isFirst ? "" : ","}\n${shown}`;
    this.#isFirst = false;
    return this.#text.length;
  }

  text(isEnd: boolean): string {
    return isEnd ? `${this.#text}\n]}\n` : this.#text;
  }
}

/** Writes a heading for each speaker, tool call and answer. All of the agent's text is in code. */
class MarkdownWriter implements Writer {
  #text = "";
  /** Text of a speaker, from several events. */
  #speech: { title: string; heading: string; text: string } | undefined;

  constructor({ sessionId, agentType, createdAt, closed }: PersistedSessionRecord, after: number) {
    if (after >= 0) return;
    this.#text = `# Session ${codeSpan(sessionId)}\n\n- Agent: ${codeSpan(agentType)}\n- Created: ${shownTime(createdAt)}\n- State: ${closed ? "closed" : "open"}\n`;
  }

  async add({ createdAt, notification }: TranscriptEvent): Promise<number> {
    const section = await sectionOf(notification);
    if (section === undefined) return this.#length;
    const { title, speech } = section;
    if (speech !== undefined && this.#speech?.title === title && title !== "User")
      this.#speech.text += speech;
    else await this.#begin(section, createdAt);
    return this.#length;
  }

  async text(): Promise<string> {
    await this.#endSpeech();
    return this.#text;
  }

  get #length(): number {
    return this.#text.length + (this.#speech?.text.length ?? 0);
  }

  async #begin({ title, speech, blocks }: Section, createdAt: number): Promise<void> {
    await this.#endSpeech();
    const heading = `\n## ${title}\n\n${createdAt === 0 ? "" : `${shownTime(createdAt)}\n\n`}`;
    if (speech !== undefined) this.#speech = { title, heading, text: speech };
    else this.#text += heading + (blocks ?? "");
  }

  async #endSpeech(): Promise<void> {
    if (this.#speech === undefined) return;
    const { heading, text } = this.#speech;
    this.#text += heading + (await textBlock(text));
    this.#speech = undefined;
  }
}

function shownTime(at: number): string {
  return new Date(at).toISOString();
}
