// Drawings of the environments on a canvas, from positions in metres and angles in radians.

const ORANGE = "#f0a02c"; // flames and flags

/** A canvas at the screen's resolution that shows an environment. */
export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.style = getComputedStyle(document.documentElement);
  }

  draw(scene, armColour) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (this.canvas.width !== size.width || this.canvas.height !== size.height) Object.assign(this.canvas, size);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const variable = (name) => this.style.getPropertyValue(`--${name}`).trim();
    const colours = { ink: variable("ink"), quiet: variable("quiet"), line: variable("line"), arm: armColour };
    pen.lineJoin = pen.lineCap = "round";
    if (scene.craft) drawLander(pen, width, height, scene, colours);
    else if (scene.torque !== undefined) drawPendulum(pen, width, height, scene, colours);
    else drawCartPole(pen, width, height, scene, colours);
  }
}

function tracePolygon(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
}

// ---- CartPole: 4.8 m of track, a pole of 1 m ----

function drawCartPole(pen, width, height, { cart, pole, push, ended }, colours) {
  const scale = Math.min(width / 5.2, height / 1.75);
  const ground = height - 0.34 * scale;
  pen.translate(width / 2, ground);
  pen.scale(scale, -scale);
  pen.strokeStyle = colours.line;
  pen.lineWidth = 0.02;
  pen.beginPath();
  pen.moveTo(-2.6, 0);
  pen.lineTo(2.6, 0);
  for (const limit of [-2.4, 2.4]) { pen.moveTo(limit, -0.08); pen.lineTo(limit, 0.08); }
  pen.stroke();
  pen.translate(cart, 0);
  pen.fillStyle = ended ? colours.quiet : colours.ink;
  tracePolygon(pen, [[-0.25, -0.13], [0.25, -0.13], [0.25, 0.13], [-0.25, 0.13]]);
  pen.fill();
  pen.strokeStyle = colours.quiet;
  pen.lineWidth = 0.03;
  if (push) {
    pen.beginPath();
    pen.moveTo(push * 0.34, 0);
    pen.lineTo(push * 0.52, 0);
    pen.moveTo(push * 0.45, 0.05);
    pen.lineTo(push * 0.52, 0);
    pen.lineTo(push * 0.45, -0.05);
    pen.stroke();
  }
  pen.strokeStyle = colours.arm;
  pen.lineWidth = 0.09;
  pen.beginPath();
  pen.moveTo(0, 0.1);
  pen.lineTo(Math.sin(pole), 0.1 + Math.cos(pole));
  pen.stroke();
}

// ---- Pendulum: a rod of 1 m, and the torque as an arrow around its pivot ----

const TORQUE_RADIUS = 0.34, TORQUE_ANGLE = 0.75; // metres; radians for each N·m

function drawPendulum(pen, width, height, { angle, torque, ended }, colours) {
  const scale = Math.min(width, height) / 2.5;
  pen.translate(width / 2, height / 2);
  pen.scale(scale, -scale);
  pen.strokeStyle = colours.line;
  pen.lineWidth = 0.025;
  pen.beginPath();
  pen.arc(0, 0, 1, 0, 2 * Math.PI);
  pen.moveTo(0, 1.1);
  pen.lineTo(0, 1.2);
  pen.stroke();
  const [x, y] = [-Math.sin(angle), Math.cos(angle)];
  pen.strokeStyle = ended ? colours.quiet : colours.arm;
  pen.lineWidth = 0.13;
  pen.beginPath();
  pen.moveTo(0, 0);
  pen.lineTo(x, y);
  pen.stroke();
  if (!ended) drawTorque(pen, torque);
  pen.fillStyle = colours.ink;
  pen.beginPath();
  pen.arc(0, 0, 0.05, 0, 2 * Math.PI);
  pen.fill();
}

/** An arc from above the pivot, counterclockwise for a positive torque and as long as it is strong, with a head. */
function drawTorque(pen, torque) {
  if (Math.abs(torque) < 0.05) return;
  const start = Math.PI / 2, end = start + TORQUE_ANGLE * torque;
  const half = 0.11 * Math.min(1, Math.abs(torque)), ahead = Math.sign(torque) * 1.7 * half;
  pen.strokeStyle = pen.fillStyle = ORANGE;
  pen.lineWidth = 0.06;
  pen.beginPath();
  pen.arc(0, 0, TORQUE_RADIUS, start, end, torque < 0);
  pen.stroke();
  inBody(pen, [TORQUE_RADIUS * Math.cos(end), TORQUE_RADIUS * Math.sin(end), end], () => {
    tracePolygon(pen, [[-half, 0], [half, 0], [0, ahead]]);
    pen.fill();
  });
}

// ---- Lunar Lander: a world of 20 m by 13.3 m ----

const HULL = [[-14, 17], [-17, 0], [-17, -10], [17, -10], [17, 0], [14, 17]].map(([x, y]) => [x / 30, y / 30]);
const LEG = [[-2, -8], [2, -8], [2, 8], [-2, 8]].map(([x, y]) => [x / 30, y / 30]);

/** Draw in the coordinates of a body at x, y, rotated by an angle. */
function inBody(pen, [x, y, angle], draw) {
  pen.save();
  pen.translate(x, y);
  pen.rotate(angle);
  draw();
  pen.restore();
}

function drawLander(pen, width, height, { craft, legs, ground, pad, engines, ended }, colours) {
  const scale = Math.min(width / 20, height / 13.33);
  pen.translate((width - 20 * scale) / 2, height);
  pen.scale(scale, -scale);
  pen.fillStyle = colours.line;
  tracePolygon(pen, [[ground[0][0] - 9, 0], [ground[0][0] - 9, ground[0][1]], ...ground,
    [ground.at(-1)[0] + 9, ground.at(-1)[1]], [ground.at(-1)[0] + 9, 0]]);
  pen.fill();
  drawFlags(pen, pad, colours);
  for (const [x, y, angle, contact] of legs)
    inBody(pen, [x, y, angle], () => {
      pen.fillStyle = contact ? colours.arm : colours.quiet;
      tracePolygon(pen, LEG);
      pen.fill();
    });
  inBody(pen, craft, () => {
    if (!ended) drawFlames(pen, engines);
    pen.fillStyle = ended ? colours.quiet : colours.arm;
    tracePolygon(pen, HULL);
    pen.fill();
  });
}

function drawFlags(pen, [left, right, y], colours) {
  pen.strokeStyle = colours.ink;
  pen.fillStyle = ORANGE;
  pen.lineWidth = 0.06;
  for (const x of [left, right]) {
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x, y + 1.6);
    pen.stroke();
    tracePolygon(pen, [[x, y + 1.6], [x, y + 1.1], [x + 0.8, y + 1.35]]);
    pen.fill();
  }
}

/** Flames as long as the engines are strong; a side engine pushes the craft away from its flame. */
function drawFlames(pen, [main, side]) {
  if (main) drawFlame(pen, [0, -10 / 30, 0, (-10 - 20 * main) / 30]);
  if (side) drawFlame(pen, [(-Math.sign(side) * 17) / 30, 8 / 30, (-Math.sign(side) * 17 - 13 * side) / 30, 8 / 30]);
}

function drawFlame(pen, [x, y, tipX, tipY]) {
  const halfWidth = 0.18;
  const [dx, dy] = x === tipX ? [halfWidth, 0] : [0, halfWidth];
  pen.fillStyle = ORANGE;
  tracePolygon(pen, [[x - dx, y - dy], [x + dx, y + dy], [tipX, tipY]]);
  pen.fill();
}
