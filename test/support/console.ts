import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, type TestContext } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { requireChromium } from "./chromium.ts";
import { type ProgramServer, startTestServer } from "./servers.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/**
 * Folder of the screenshots of the documentation. `AGENT_VM_SCREENSHOTS=1` takes the files that it has again, and
 * `AGENT_VM_SCREENSHOTS=FOLDER` writes all of them to another folder.
 */
const IMAGES = join(import.meta.dirname, "../../docs/images");

/** Milliseconds for what a page does. Its browser draws without a GPU, and beside other browsers. */
const PAGE_TIMEOUT_MS = 90_000;

const WIDE = { width: 1280, height: 760 };
export const PHONE = { width: 390, height: 780 };

interface OpenOptions {
  /** Fragment of the address: `"#/"`. */
  at?: string;
  size?: { width: number; height: number };
  scheme?: "light" | "dark";
  /** Browser profile of an earlier page, with its cookies. */
  profile?: BrowserContext;
  /** Errors of the console that the test causes on purpose. */
  expected?: RegExp;
}

/** A server with the scripted agent and a browser, for all tests of a file. */
export interface ConsoleTest {
  server(): ProgramServer;
  vm(key: string | string[]): VmHandle;
  /** Opens the console. The test fails if the page reports an error or sends a request elsewhere. */
  open(context: TestContext, options?: OpenOptions): Promise<Page>;
  /** Ends the server, calls back, and starts it again on the same port with the same data. */
  restart(meanwhile: () => Promise<unknown>): Promise<void>;
  /** Takes a screenshot, for the documentation if it is wanted. */
  shoot(page: Page, name: string): Promise<void>;
}

export function consoleTest(env: Record<string, string> = {}): ConsoleTest {
  let server: ProgramServer | undefined;
  let browser: Browser | undefined;
  const shots = temporaryFolder();
  const dataDir = temporaryFolder();
  beforeAll(async () => {
    server = await startTestServer({ kind: "scripted", process: true, env, dataDir });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop("SIGTERM");
  });
  const running = () => server as ProgramServer;
  return {
    server: running,
    vm: (key: string | string[]) =>
      running()
        .client(env.AGENT_VM_TOKEN ? { token: env.AGENT_VM_TOKEN } : {})
        .vm.getOrCreate(key),
    async open(context, { at = "#/", size = WIDE, scheme = "light", profile, expected }: OpenOptions = {}) {
      const executablePath = requireChromium(context);
      browser ??= await chromium.launch({
        executablePath,
        args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
      });
      const own =
        profile ??
        (await browser.newContext({ viewport: size, colorScheme: scheme, reducedMotion: "reduce" }));
      const page = await own.newPage();
      page.setDefaultTimeout(PAGE_TIMEOUT_MS);
      const origin = running().endpoint.replace("127.0.0.1", "localhost");
      const faults = faultsOf(page, origin, expected);
      onTestFinished(async () => {
        await page.close().catch(() => undefined);
        if (profile === undefined) await own.close();
        expect(faults).toEqual([]);
      });
      await page.goto(`${origin}/console${at}`);
      return page;
    },
    async restart(meanwhile) {
      const { port, stop } = running();
      await stop("SIGTERM");
      await meanwhile();
      server = await startTestServer({ kind: "scripted", process: true, env, port, dataDir });
    },
    async shoot(page, name) {
      const file = `console-${name}.png`;
      const wanted = process.env.AGENT_VM_SCREENSHOTS ?? shots;
      const folder = wanted !== "1" ? wanted : existsSync(join(IMAGES, file)) ? IMAGES : shots;
      const path = join(folder, file);
      const { byteLength } = await page.screenshot({ path, animations: "disabled" });
      expect(byteLength).toBeGreaterThan(5_000);
    },
  };
}

/** Addresses that need no server: content of the page, and the browser's own viewer of PDFs. */
const INSIDE = /^(blob|data|chrome|chrome-extension):/;

/** Collects what a page must not do: report an error, break its own policy, or ask another server. */
function faultsOf(page: Page, origin: string, expected: RegExp | undefined): string[] {
  const faults: string[] = [];
  const add = (fault: string) => {
    if (expected?.test(fault) !== true) faults.push(fault);
  };
  page.on("pageerror", ({ message }) => add(`error: ${message}`));
  page.on("console", (message) => {
    if (message.type() === "error") add(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !INSIDE.test(url)) add(`request: ${url}`);
  });
  return faults;
}
