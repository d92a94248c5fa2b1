import { within } from "../../base/within.ts";
import type { HostCall } from "../sandbox/host-call.ts";
import { type HostCalls, messageOf, parseInput } from "./calls.ts";
import { type Catalog, type CatalogFunction, type CatalogGroup, MAIN_PROGRAM } from "./catalog.ts";
import { parseArguments, UsageError } from "./flags.ts";
import { functionHelp, groupHelp, mainHelp } from "./help.ts";
import { MAX_HOST_INPUT_BYTES } from "./limits.ts";
import { serveMcp } from "./mcp.ts";

/** Time for a program to read the end of its output. In milliseconds. */
const LAST_WORDS_MS = 10_000;

/** Parts that answer the programs of a VM. */
export interface HostServices {
  catalog: Catalog;
  calls: HostCalls;
  /** Returns the session of a call, if the VM has it. */
  sessionOf(call: HostCall): string | undefined;
}

/** Does what a program of a VM asks for, and ends the program. Never rejects. */
export async function answerProgram(call: HostCall, services: HostServices): Promise<void> {
  try {
    const text = await answer(call, services);
    if (text !== undefined) await within(call.write("stdout", Buffer.from(`${text}\n`)), LAST_WORDS_MS);
    call.exit(0);
  } catch (error) {
    await within(call.write("stderr", Buffer.from(`${messageOf(error)}\n`)), LAST_WORDS_MS);
    call.exit(1);
  }
}

/** @returns text for stdout; `undefined` if all is written */
async function answer(call: HostCall, services: HostServices): Promise<string | undefined> {
  const { catalog } = services;
  const [program = "", first, ...rest] = call.args;
  if (program === MAIN_PROGRAM) return await answerMain(call, services);
  const group = [...catalog.groups.values()].find((group) => group.program === program);
  if (group === undefined) throw new UsageError(`${program}: this host has no such functions`);
  if (first === undefined || first === "--help" || first === "-h") return groupHelp(group);
  const called = group.functions.get(first);
  if (called === undefined)
    throw new UsageError(
      `Unknown function: ${first}. ${program} has ${[...group.functions.keys()].join(", ")}.`,
    );
  const request = parseArguments(called.flags, rest);
  if (request.kind === "help") return functionHelp(called);
  let input: unknown;
  if (request.kind === "flags") input = request.input;
  else if (request.kind === "json") input = parseInput(request.text);
  else input = parseInput((await call.readFile(request.path, MAX_HOST_INPUT_BYTES)).toString());
  const result = await services.calls.run({
    called,
    input,
    session: services.sessionOf(call),
    signals: [call.gone],
    stdin: stdinOf(call),
    progress: (message) => call.write("stderr", Buffer.from(`${message}\n`)),
  });
  return `{"ok":true,"result":${result}}`;
}

async function answerMain(call: HostCall, services: HostServices): Promise<string | undefined> {
  const { catalog } = services;
  const [, command = "--help", name, ...rest] = call.args;
  const unexpected = command.startsWith("list-") ? rest[0] : name;
  if (unexpected !== undefined) throw new UsageError(`Unexpected argument: ${unexpected}`);
  switch (command) {
    case "list-bindings":
    case "list-host-functions":
      return JSON.stringify({ ok: true, result: listing(catalog, name) });
    case "mcp":
      await serveMcp(call, services);
      return undefined;
    case "--help":
    case "-h":
    case "help":
      return mainHelp(catalog);
    default:
      throw new UsageError(`Unknown command: ${command}. See ${MAIN_PROGRAM} --help.`);
  }
}

function listing(catalog: Catalog, name: string | undefined) {
  const all = [...catalog.groups.values()];
  const groups = name === undefined ? all : all.filter((group) => group.name === name);
  if (name !== undefined && groups.length === 0)
    throw new UsageError(`Unknown name: ${name}. The host has ${all.map((group) => group.name).join(", ")}.`);
  const describe = ({ name, description, jsonSchema, examples }: CatalogFunction) => ({
    name,
    description,
    inputSchema: jsonSchema,
    ...(examples.length > 0 && { examples }),
  });
  return groups.map(({ name, program, description, functions }: CatalogGroup) => ({
    name,
    program,
    ...(description !== "" && { description }),
    functions: [...functions.values()].map(describe),
  }));
}

/** Reads a program's stdin as it is asked for. */
async function* stdinOf(call: HostCall): AsyncGenerator<Uint8Array> {
  for (let piece = await call.read(); piece.length > 0; piece = await call.read()) yield piece;
}
