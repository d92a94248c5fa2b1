import type { ITheme } from "./xterm.ts";

export const DARK: ITheme = {
  background: "#11141a",
  foreground: "#d8dee9",
  cursor: "#88a0ff",
  selectionBackground: "#3b4a7a",
};

export const LIGHT: ITheme = {
  background: "#ffffff",
  foreground: "#1f2430",
  cursor: "#3350c8",
  cursorAccent: "#ffffff",
  selectionBackground: "#c9d4ff",
  black: "#1f2430",
  red: "#b3261e",
  green: "#1b6e3a",
  yellow: "#7a5a00",
  blue: "#2a4fd0",
  magenta: "#8b2fa0",
  cyan: "#0b6b7a",
  white: "#5c6370",
  brightBlack: "#6b7280",
  brightRed: "#c4362c",
  brightGreen: "#21834a",
  brightYellow: "#8f6b00",
  brightBlue: "#3c63e6",
  brightMagenta: "#a13fb8",
  brightCyan: "#128294",
  brightWhite: "#2a2f3a",
};
