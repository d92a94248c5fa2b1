// @module-tag slow
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, test } from "vitest";
import type { VmEventName, VmEvents } from "../../src/api/events.ts";
import { TRANSPORT_METHODS } from "../../src/api/methods/transport.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const file = `${root}test/types/documented.ts`;
const VALUES = ["agent", "connection"] as const;
const SUBSCRIBERS = ["on", "once"] as const;
const EVENTS = [
  "processOutput",
  "processExit",
  "shellData",
  "shellExit",
  "waitingForInput",
  "fileChanged",
  "portOpened",
  "portClosed",
  "networkDenied",
  "networkRequest",
  "previewRequest",
  "vmBooted",
  "filesReadOnly",
  "limitWarning",
  "serviceChanged",
  "vmShutdown",
  "cronEvent",
  "sessionEvent",
  "permissionRequest",
  "agentCrashed",
] as const satisfies VmEventName[];
const SOURCE = `
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
const agent = createClient<typeof registry>("").vm.getOrCreate("x");
const connection = agent.connect();
${VALUES.map((value) => `${value}.exec;`).join("\n")}
${SUBSCRIBERS.flatMap((method) => EVENTS.map((event) => `connection.${method}("${event}", () => {});`)).join("\n")}
`;
const EXAMPLES = ["exec", "prompt", "vmFetch", "fork"];

/** RivetKit's own parts of a handle. */
const RIVET = ["fetch", "webSocket", "resolve", "getGatewayUrl"];

let service: ts.LanguageService;
beforeAll(() => {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getScriptVersion: () => "1",
    getScriptSnapshot(name) {
      const text = name === file ? SOURCE : ts.sys.readFile(name);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: ts.sys.readFile,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
});

const placeOf = (value: string) => SOURCE.indexOf(`${value}.exec;`) + value.length + 1;

function completions(value: string): string[] {
  const found = service.getCompletionsAtPosition(file, placeOf(value), {});
  return found?.entries.map(({ name }) => name) ?? [];
}

function detailsOf(value: string, name: string): ts.CompletionEntryDetails {
  return service.getCompletionEntryDetails(file, placeOf(value), name, {}, undefined, {}, undefined)!;
}

describe.each(VALUES)("an editor's completions on the %s", (value) => {
  test("offer no transport method", () => {
    const offered = completions(value);
    expect(offered).toContain("exec");
    expect(offered.filter((name) => Object.hasOwn(TRANSPORT_METHODS, name))).toEqual([]);
  });

  test("document every method", () => {
    const bare = completions(value).filter((name) => {
      const { documentation = [] } = detailsOf(value, name);
      return ts.displayPartsToString(documentation).length < 20 && !RIVET.includes(name);
    });
    expect(bare).toEqual([]);
  });

  test.each(EXAMPLES)("show an example of %s", (name) => {
    expect(detailsOf(value, name).tags?.map((tag) => tag.name)).toContain("example");
  });

  test("lead from a method to its row in the method table", () => {
    const [definition] = service.getDefinitionAtPosition(file, placeOf(value)) ?? [];
    expect(definition?.fileName).toBe(`${root}src/api/methods/processes.ts`);
    expect(definition?.name).toBe("exec");
  });
});

describe.each(SUBSCRIBERS)("an editor's view of connection.%s", (method) => {
  test("describes the event of each call as the table of events does", () => {
    const described = EVENTS.map((event) => {
      const place = SOURCE.indexOf(`${method}("${event}"`);
      return ts.displayPartsToString(service.getQuickInfoAtPosition(file, place)?.documentation);
    });
    expect(described).toEqual(EVENTS.map(descriptionOf));
  });

  test("completes the names of all events but the client's own", () => {
    const place = SOURCE.indexOf(`${method}("`) + method.length + 2;
    const offered = service.getCompletionsAtPosition(file, place, {})?.entries.map(({ name }) => name);
    // The client itself makes vmRestarted.
    expect(offered?.sort()).toEqual([...EVENTS, "vmRestarted"].sort());
    const unlisted: Exclude<keyof VmEvents, (typeof EVENTS)[number]> = "callSettled";
    expect(offered).not.toContain(unlisted);
  });
});

/** Returns the description of an event in the interface of all events. */
function descriptionOf(event: string): string {
  const checker = service.getProgram()!.getTypeChecker();
  const source = service.getProgram()!.getSourceFile(`${root}src/api/events.ts`)!;
  const table = source.statements.find(
    (node): node is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(node) && node.name.text === "VmEvents",
  )!;
  const property = checker.getTypeAtLocation(table).getProperty(event);
  return ts.displayPartsToString(property?.getDocumentationComment(checker));
}

test("every option and result field that a handle or connection reaches is documented", () => {
  const program = service.getProgram()!;
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file)!;
  const bare = new Set<string>();
  const seen = new Set<ts.Type>();
  const isOurs = (symbol: ts.Symbol) =>
    symbol.declarations?.some((node) => node.getSourceFile().fileName.startsWith(`${root}src/`)) ?? false;

  function visit(type: ts.Type, within: string): void {
    if (seen.has(type)) return;
    seen.add(type);
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part, within);
    for (const argument of checker.getTypeArguments(type as ts.TypeReference) ?? []) visit(argument, within);
    const name = type.aliasSymbol?.name ?? type.symbol?.name ?? within;
    for (const signature of [...type.getCallSignatures()]) {
      for (const parameter of signature.parameters) visit(checker.getTypeOfSymbol(parameter), within);
      visit(signature.getReturnType(), within);
    }
    if (!(type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return;
    for (const property of type.getProperties().filter(isOurs)) {
      const label = name === "__type" ? `${within}.${property.name}` : `${name}.${property.name}`;
      if (property.getDocumentationComment(checker).length === 0) bare.add(label);
      visit(checker.getTypeOfSymbol(property), label);
    }
  }
  source.forEachChild((node) => {
    if (!ts.isVariableStatement(node)) return;
    for (const { name } of node.declarationList.declarations) {
      visit(checker.getTypeAtLocation(name), name.getText());
    }
  });
  expect(seen.size).toBeGreaterThan(200);
  expect([...bare].sort()).toEqual([]);
});
