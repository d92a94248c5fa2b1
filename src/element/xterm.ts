/*
 * The terminal emulator. In the package this module contains it (scripts/package/bundle.ts), so that the element needs no
 * other package.
 */

export { FitAddon } from "@xterm/addon-fit";
export { SearchAddon } from "@xterm/addon-search";
export { type ITheme, Terminal as Xterm } from "@xterm/xterm";
