import { type Terminal, type TerminalOptions, terminal, type VmHandle } from "../client/index.ts";
import { DARK, LIGHT } from "./themes.ts";
import { FitAddon, SearchAddon, Xterm } from "./xterm.ts";
import { XTERM_CSS } from "./xterm-css.ts";

/** Lines that stay above the screen. */
const SCROLLBACK = 20_000;
/** Pause after the last change of the size before the machine hears of it. In milliseconds. */
const RESIZE_MS = 120;

interface ScreenEvents {
  onTitle?(title: string): void;
  onExit?(exitCode: number): void;
  onError?(error: Error): void;
  /** The user has asked for the search. */
  onFind?(): void;
}

/** A terminal of a machine on an element of the page. The output of programs can only draw: it never becomes markup. */
export class Screen {
  readonly #events: ScreenEvents;
  readonly #xterm: Xterm;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #sizes: ResizeObserver;
  readonly #scheme = matchMedia("(prefers-color-scheme: dark)");
  readonly #paint = () => {
    this.#xterm.options.theme = this.#scheme.matches ? DARK : LIGHT;
  };
  #shell: Terminal | undefined;
  #resizing: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  #isOwn = false;

  constructor(element: HTMLElement, events: ScreenEvents = {}) {
    this.#events = events;
    this.#xterm = new Xterm({
      scrollback: SCROLLBACK,
      fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
      fontSize: 13,
      cursorBlink: true,
      theme: this.#scheme.matches ? DARK : LIGHT,
      linkHandler: { activate: (_event, address) => openLink(address) },
    });
    addStyle(element);
    this.#xterm.loadAddon(this.#fit);
    this.#xterm.loadAddon(this.#search);
    this.#xterm.open(element);
    this.#fitNow();
    this.#sizes = new ResizeObserver(() => this.#fitNow());
    this.#sizes.observe(element);
    this.#scheme.addEventListener("change", this.#paint);
    this.#xterm.onData((data) => this.#send(data));
    this.#xterm.onBinary((data) => this.#send(Uint8Array.from(data, (byte) => byte.charCodeAt(0))));
    this.#xterm.onTitleChange((title) => events.onTitle?.(title));
    this.#xterm.attachCustomKeyEventHandler((event) => this.#isForProgram(event));
  }

  /** Opens a shell, or takes up the shell `shellId`. */
  attach(vm: VmHandle, options: TerminalOptions = {}): void {
    const { cols, rows } = this.#xterm;
    this.#isOwn = options.shellId === undefined;
    const all = { ...options, cols, rows, onData: (data: Uint8Array) => this.#xterm.write(data) };
    terminal(vm, all as TerminalOptions).then(
      (shell) => this.#attached(shell),
      (error: Error) => this.#fail(error),
    );
  }

  get selection(): string {
    return this.#xterm.getSelection();
  }

  /** Lines in the terminal, the scrollback included. */
  get lines(): number {
    return this.#xterm.buffer.active.length;
  }

  paste(text: string): void {
    this.#xterm.paste(text);
  }

  focus(): void {
    this.#xterm.focus();
  }

  find(text: string, to: "next" | "previous", isTyping = false): void {
    if (to === "next") this.#search.findNext(text, { incremental: isTyping });
    else this.#search.findPrevious(text);
  }

  /** Ends a shell that the screen has opened. Leaves another open, for the next viewer. */
  dispose(): void {
    this.#isOver = true;
    clearTimeout(this.#resizing);
    this.#sizes.disconnect();
    this.#scheme.removeEventListener("change", this.#paint);
    if (this.#shell !== undefined) this.#leave(this.#shell);
    this.#xterm.dispose();
  }

  #attached(shell: Terminal): void {
    if (this.#isOver) {
      this.#leave(shell);
      return;
    }
    this.#shell = shell;
    this.#resizeShell();
    shell.exited.then(
      (exitCode) => {
        if (this.#isOver) return;
        this.#xterm.write(`\r\n\x1b[2m[exited with ${exitCode}]\x1b[0m\r\n`);
        this.#events.onExit?.(exitCode);
      },
      (error: Error) => this.#fail(error),
    );
  }

  #leave(shell: Terminal): void {
    shell.exited.catch(() => undefined);
    if (this.#isOwn) shell.close().catch(() => undefined);
    else shell.detach();
  }

  #fail(error: Error): void {
    if (!this.#isOver) this.#events.onError?.(error);
  }

  #send(data: string | Uint8Array): void {
    this.#shell?.write(data).catch((error: Error) => this.#fail(error));
  }

  #fitNow(): void {
    this.#fit.fit();
    clearTimeout(this.#resizing);
    this.#resizing = setTimeout(() => this.#resizeShell(), RESIZE_MS);
  }

  #resizeShell(): void {
    const { cols, rows } = this.#xterm;
    this.#shell?.resize(cols, rows).catch(() => undefined);
  }

  /** Keeps keys of the page from the program: copy, paste and search. */
  #isForProgram(event: KeyboardEvent): boolean {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    const key = event.key.toLowerCase();
    if (key === "f") this.#events.onFind?.();
    if (key === "c" && this.selection !== "") void navigator.clipboard?.writeText(this.selection);
    if (key === "c" || key === "f") event.preventDefault();
    return !["c", "v", "f"].includes(key);
  }
}

let sheet: CSSStyleSheet | undefined;

/** Adds the style of terminals to the document, or the shadow tree, of an element. */
function addStyle(element: HTMLElement): void {
  const root = element.getRootNode() as Document | ShadowRoot;
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(XTERM_CSS);
  }
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/** Opens a link that a program has written. It comes from the machine, so the user sees where it leads. */
function openLink(address: string): void {
  if (!/^https?:\/\//i.test(address)) return;
  if (confirm(`A program of the machine links to:\n\n${address.slice(0, 500)}\n\nOpen it?`))
    open(address, "_blank", "noopener,noreferrer");
}
