import type { Socket as DatagramSocket, RemoteInfo } from "node:dgram";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { PerSecond } from "../../../base/per-second.ts";
import { MAX_OPEN_QUESTIONS, MAX_QUESTIONS_PER_SECOND } from "../limits.ts";
import {
  encodeAnswer,
  encodeMalformed,
  MAX_QUESTION_BYTES,
  parseQuestion,
  type Question,
  RCODE,
  RECORD,
} from "./dns-message.ts";
import type { OutboundGate } from "./gate.ts";
import type { OutboundNames } from "./names.ts";

/** Time for which programs may keep an address. */
const TTL_SECONDS = 60;

/**
 * Time for a program to send a DNS question over TCP, or the next one.
 * @unit ms
 * @past The server cuts the connection.
 */
const QUESTION_MS = 10_000;

const LENGTH_BYTES = 2;

interface ResolverDeps {
  gate: OutboundGate;
  names: OutboundNames;
  /** `true` if connections to the IPv6 addresses of names reach the server. */
  hasIpv6: boolean;
}

/** Name server of one VM. It answers allowed names that exist with addresses of its own. All input is hostile. */
export class OutboundResolver {
  readonly #deps: ResolverDeps;
  readonly #closed = new AbortController();
  #open = 0;
  readonly #datagrams = new PerSecond(MAX_QUESTIONS_PER_SECOND);
  readonly #streamed = new PerSecond(MAX_QUESTIONS_PER_SECOND);

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  close(): void {
    this.#closed.abort();
  }

  /** Answers questions over UDP. */
  serve(socket: DatagramSocket): void {
    socket.on("error", () => undefined);
    socket.on("message", (message: Buffer, from: RemoteInfo) => {
      // A program asks again if it gets no answer.
      if (this.#datagrams.isTooMany() || this.#open >= MAX_OPEN_QUESTIONS) return;
      void this.#answer(message).then((answer) => {
        if (answer === undefined || this.#closed.signal.aborted) return;
        try {
          socket.send(answer, from.port, from.address, () => undefined);
        } catch {
          // The VM has just ended.
        }
      });
    });
  }

  /** Answers questions over TCP, one after the other. */
  async serveStream(socket: Socket): Promise<void> {
    socket.setTimeout(QUESTION_MS, () => socket.destroy());
    let rest: Buffer = Buffer.alloc(0);
    try {
      for await (const data of socket) {
        rest = Buffer.concat([rest, data as Buffer]);
        for (;;) {
          const length = rest.length < LENGTH_BYTES ? undefined : rest.readUInt16BE(0);
          if (length !== undefined && length > MAX_QUESTION_BYTES) return;
          if (length === undefined || rest.length < LENGTH_BYTES + length) break;
          if (this.#streamed.isTooMany()) return;
          // A denied name needs no wait. Other work goes between two answers.
          await turn();
          const answer = await this.#answer(rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
          rest = rest.subarray(LENGTH_BYTES + length);
          if (answer === undefined) return;
          const size = Buffer.alloc(LENGTH_BYTES);
          size.writeUInt16BE(answer.length);
          // A program that reads no answers gets no more.
          if (!socket.write(Buffer.concat([size, answer]))) return;
        }
      }
      socket.end();
    } catch {
      // The program has closed the connection.
    } finally {
      if (!socket.writableEnded) socket.destroy();
    }
  }

  async #answer(message: Buffer): Promise<Buffer | undefined> {
    const question = parseQuestion(message);
    if (question === undefined) return encodeMalformed(message);
    this.#open += 1;
    try {
      return await this.#resolve(question);
    } finally {
      this.#open -= 1;
    }
  }

  async #resolve(question: Question): Promise<Buffer> {
    const { gate, names, hasIpv6 } = this.#deps;
    const { name, type } = question;
    const found = await gate.find(name, this.#closed.signal);
    if (found !== "found") return encodeAnswer(question, found === "failed" ? RCODE.failed : RCODE.absent);
    const family = type === RECORD.ipv4 ? 4 : type === RECORD.ipv6 && hasIpv6 ? 6 : undefined;
    if (family === undefined) return encodeAnswer(question, RCODE.ok);
    return encodeAnswer(question, RCODE.ok, {
      address: names.addressOf(name, family),
      ttlSeconds: TTL_SECONDS,
    });
  }
}
