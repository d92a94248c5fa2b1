import { vmStopped } from "../../../../api/errors.ts";
import type { DataPart } from "../../persistent-tree.ts";
import { HelperProcess } from "../helpers/helper-process.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";

const PROGRAM = helperSource("holes");

/** Parts that one run lists. */
const MAX_PARTS = 32_768;
const PART_BYTES = 16;

/** A shorter hole is read as zeros: a part of its own costs more memory. */
const SHORTEST_HOLE_BYTES = 16 * 1024;

/** A program that takes longer is killed. */
const MAX_RUN_MS = 30_000;

/** Finds the holes of sparse files. Node has no call for them, so each request runs a small perl program on the host. */
export class Holes {
  readonly #perl: string;
  readonly #running = new Set<HelperProcess>();
  #closed = false;

  constructor(perl: string) {
    this.#perl = perl;
  }

  /** Lists parts of an open file with data, from an offset on. An empty list: only a hole follows. */
  async partsOf(fd: number, from: number): Promise<DataPart[]> {
    if (this.#closed) throw vmStopped();
    const program = HelperProcess.start({
      name: "program for sparse files",
      command: helperCommand(this.#perl, PROGRAM, [from, MAX_PARTS, SHORTEST_HOLE_BYTES]),
      descriptors: [fd],
      maxFrameBytes: MAX_PARTS * PART_BYTES + 1024,
    });
    this.#running.add(program);
    const late = setTimeout(() => program.kill(), MAX_RUN_MS);
    try {
      for await (const { body } of program.frames()) return partsIn(body);
      if (this.#closed) throw vmStopped();
      await program.ended;
      throw program.loss;
    } finally {
      clearTimeout(late);
      program.kill();
      this.#running.delete(program);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((program) => program.close()));
  }
}

function partsIn(body: Buffer): DataPart[] {
  const parts: DataPart[] = [];
  for (let offset = 0; offset < body.length; offset += PART_BYTES) {
    const start = Number(body.readBigUInt64BE(offset));
    parts.push({ start, end: Number(body.readBigUInt64BE(offset + 8)) });
  }
  return parts;
}
