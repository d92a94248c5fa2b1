import { render } from "preact";
// The style of the charts. A part that loads later brings no style of its own.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { App } from "./app.tsx";
import { takeToken } from "./state/session.ts";

render(<App token={takeToken()} />, document.getElementById("app") as HTMLElement);
