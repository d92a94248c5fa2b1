/// <reference lib="dom" preserve="true" />
/**
 * The element `<agent-vm-terminal>`: a terminal of a VM on any page, without a framework.
 *
 * @example
 * ```ts
 * import { createClient } from "agent-vm/client";
 * import "agent-vm/terminal-element";
 *
 * const element = document.querySelector("agent-vm-terminal");
 * element.vm = createClient({ endpoint, token }).vm.get("alice");
 * ```
 * @module
 */

import type { VmHandle } from "../client/index.ts";
import { Screen } from "./screen.ts";

const STYLE =
  ":host{display:block;height:24em}:host([hidden]){display:none}#screen{height:100%;overflow:hidden}";

/**
 * A terminal of a VM. It opens a shell when it is in a document and has a `vm`, follows its own size, and opens again for
 * another `vm` or `shell-id`.
 *
 * - attribute `shell-id`: takes up this shell, and leaves it open at the end. Without it, the shell ends with the element.
 * - attribute `command`: a program in place of the shell. Attribute `cwd`: its directory.
 * - event `terminal-title` with `detail.title`, `terminal-exit` with `detail.exitCode`, `terminal-error` with `detail.error`.
 */
export class AgentVmTerminal extends HTMLElement {
  /** Attributes whose change opens another terminal. */
  static readonly observedAttributes: string[] = ["shell-id", "command", "cwd"];

  #vm: VmHandle | undefined;
  #screen: Screen | undefined;
  readonly #root = this.attachShadow({ mode: "open" });
  #isPlanned = false;
  /** The VM and the attributes of the terminal that is open; `undefined` when its shell is over, which any change replaces. */
  #shown: readonly unknown[] | undefined = [];

  /** VM of the terminal. */
  get vm(): VmHandle | undefined {
    return this.#vm;
  }

  /** Opens a terminal of this VM in place of the terminal before. */
  set vm(vm: VmHandle | undefined) {
    if (vm === this.#vm) return;
    this.#vm = vm;
    this.#plan();
  }

  /** Opens the terminal when the element enters a document. */
  connectedCallback(): void {
    this.#plan();
  }

  /** Closes the terminal when the element leaves its document. */
  disconnectedCallback(): void {
    this.#plan();
  }

  /** Opens another terminal for other attributes. */
  attributeChangedCallback(): void {
    this.#plan();
  }

  /** Gives the terminal the keyboard. */
  override focus(): void {
    this.#screen?.focus();
  }

  /** Types a text, as the user would paste it. */
  paste(text: string): void {
    this.#screen?.paste(text);
  }

  /** Opens the terminal after all changes of this turn. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#open();
    });
  }

  #open(): void {
    const attributes = AgentVmTerminal.observedAttributes.map((name) => this.getAttribute(name));
    const wanted = this.isConnected && this.#vm !== undefined ? [this.#vm, ...attributes] : [];
    // The element was moved within its page, or has got the attributes that it has.
    if (this.#shown !== undefined && isSame(wanted, this.#shown)) return;
    this.#shown = wanted;
    this.#screen?.dispose();
    this.#screen = undefined;
    this.#root.replaceChildren();
    if (this.#vm === undefined || !this.isConnected) return;
    const style = document.createElement("style");
    style.textContent = STYLE;
    const place = document.createElement("div");
    place.id = "screen";
    this.#root.append(style, place);
    const tell = (name: string, detail: object) =>
      this.dispatchEvent(new CustomEvent(`terminal-${name}`, { detail, bubbles: true, composed: true }));
    const screen = new Screen(place, {
      onTitle: (title) => tell("title", { title }),
      onExit: (exitCode) => {
        this.#shown = undefined;
        tell("exit", { exitCode });
      },
      onError: (error) => {
        this.#shown = undefined;
        tell("error", { error });
      },
    });
    this.#screen = screen;
    const shellId = this.getAttribute("shell-id");
    const [command, cwd] = [this.getAttribute("command"), this.getAttribute("cwd")];
    screen.attach(
      this.#vm,
      shellId === null ? { ...(command && { command }), ...(cwd && { cwd }) } : { shellId },
    );
  }
}

function isSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((value, index) => value === others[index]);
}

if (!customElements.get("agent-vm-terminal")) customElements.define("agent-vm-terminal", AgentVmTerminal);

declare global {
  interface HTMLElementTagNameMap {
    "agent-vm-terminal": AgentVmTerminal;
  }
}
