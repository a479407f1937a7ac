# SPDX-License-Identifier: EUPL-1.2
"""The report as a PDF (R25): the same report and language give the same bytes. Charts say all in length and words, and
nothing by colour alone."""

from collections.abc import Sequence
from datetime import date
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from verwijsindex.auditing.reports_schemas import Language, LedgerReportOut, SampleCount
from verwijsindex.auditing.reports_words import WORDS, Words, of_code

FONT, BOLD, MONO = "Vera", "VeraBd", "Courier"
_INK, _BAR, _LINE = HexColor("#1a1a1a"), HexColor("#2f5d8a"), HexColor("#b0b0b0")
_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_TEXT = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=13, textColor=_INK, spaceAfter=6)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=8, leading=11, spaceAfter=0)
_NUMBER = ParagraphStyle("number", parent=_SMALL, alignment=2)
_CODE = ParagraphStyle("code", parent=_SMALL, fontName=MONO)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName=BOLD, fontSize=17, leading=22)
_HEADING = ParagraphStyle("heading", parent=_TEXT, fontName=BOLD, fontSize=11, leading=15, spaceBefore=10)
_GRID: list[Any] = [
    ("LEFTPADDING", (0, 0), (0, -1), 0),
    ("LINEBELOW", (0, 0), (-1, 0), 0.8, _INK),
    ("LINEBELOW", (0, 1), (-1, -1), 0.25, _LINE),
    ("TOPPADDING", (0, 0), (-1, -1), 2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def as_pdf(report: LedgerReportOut, language: Language) -> bytes:
    """The report on pages of A4, with its fonts, title and language in it."""
    for name in (FONT, BOLD):
        registerFont(TTFont(name, f"{name}.ttf"))  # they come with reportlab
    words, file = WORDS[language], BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        invariant=1,  # no date and no random id of its own
        lang=language,
        title=f"{words.title}: {_scope(report, words)}, {_period(report, words)}",
        subject=words.subject,
        author="Verwijsindex",
        creator="Verwijsindex",
        displayDocTitle=True,
    )

    def number(canvas: Canvas, _: Any) -> None:
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(_INK)
        canvas.drawString(_MARGIN, 10 * mm, f"{_scope(report, words)} · {_period(report, words)}")
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, words.page.format(number=canvas.getPageNumber()))

    document.build(_story(report, words), onFirstPage=number, onLaterPages=number)
    return file.getvalue()


def _story(report: LedgerReportOut, words: Words) -> list[Flowable]:
    return [
        Paragraph(words.title, _TITLE),
        Paragraph(f"{_scope(report, words)}, {_period(report, words)}; {_made(report, words)}", _TEXT),
        Paragraph(words.intro, _TEXT),
        *_summary(report, words),
        *_weeks(report, words),
        *_hours(report, words),
        *_searches(report, words),
        *_alerts(report, words),
        *_samples(report, words),
        *_kinds(report, words),
        *_proof(report, words),
    ]


def _scope(report: LedgerReportOut, words: Words) -> str:
    if report.scope.institution:
        return words.institution.format(code=report.scope.institution)
    return words.municipality.format(code=report.scope.municipality) if report.scope.municipality else words.whole_index


def _period(report: LedgerReportOut, words: Words) -> str:
    return words.period.format(since=_day(report.from_, words), until=_day(report.until, words))


def _made(report: LedgerReportOut, words: Words) -> str:
    return words.made_at.format(at=f"{_day(report.made_at.date(), words)} {report.made_at:%H:%M}")


def _day(day: date, words: Words) -> str:
    return f"{day:%d-%m-%Y}" if words is WORDS["nl"] else day.isoformat()


def _many(count: int, words: Words) -> str:
    """With the separator of thousands that readers of the language know."""
    return f"{count:,}".replace(",", "." if words is WORDS["nl"] else ",")


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str | int | None]], words: Words, widths: Sequence[float]
) -> Table:
    """Texts to the left, numbers to the right (None: not known); the head stands on each page. `widths` are shares."""

    def cell(value: str | int | None) -> Paragraph:
        if isinstance(value, str):
            return Paragraph(value, _SMALL)
        return Paragraph("\N{EN DASH}" if value is None else _many(value, words), _NUMBER)

    numeric = [not isinstance(value, str) for value in rows[0]] if rows else []
    titles = [
        Paragraph(f"<font face='{BOLD}'>{escape(name)}</font>", _NUMBER if right else _SMALL)
        for name, right in zip(head, numeric, strict=True)
    ]
    body = [[cell(value) for value in row] for row in rows]
    return Table(
        [titles, *body], [share * _WIDTH / sum(widths) for share in widths], repeatRows=1, style=_GRID, hAlign="LEFT"
    )


def _summary(report: LedgerReportOut, words: Words) -> list[Flowable]:
    total = report.total
    counts = (total.acts, total.reads, total.refusals, total.system)
    rows = list(zip(words.sorts, counts, strict=True))
    return [Paragraph(words.summary, _HEADING), _table(("", words.number), rows, words, (3, 1))]


def _bars(title: str, labels: Sequence[str], values: Sequence[int], below: str, beside: str, width: float) -> Drawing:
    """A chart of bars from zero, with names on both axes."""
    height, left, bottom = 42 * mm, 15 * mm, 12 * mm
    chart: Any = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = left, bottom, width - left - 3 * mm, height - bottom - 7 * mm
    chart.data = [list(values)]
    chart.bars[0].fillColor = _BAR
    chart.bars[0].strokeColor = None
    chart.barSpacing, chart.groupSpacing = 0, 1.5
    axis = chart.valueAxis
    axis.valueMin, axis.valueMax, axis.valueStep = 0, *_scale(max(values, default=0))
    axis.labels.fontName, axis.labels.fontSize = FONT, 6.5
    axis.visibleGrid, axis.gridStrokeColor, axis.gridStrokeWidth = True, _LINE, 0.25
    axis.strokeWidth = 0.5
    every = -(-len(labels) // 27)  # more would not be read
    chart.categoryAxis.categoryNames = [label if not n % every else "" for n, label in enumerate(labels)]
    chart.categoryAxis.labels.fontName, chart.categoryAxis.labels.fontSize = FONT, 6.5
    chart.categoryAxis.visibleTicks, chart.categoryAxis.strokeWidth = False, 0.5
    drawing = Drawing(width, height)
    drawing.add(chart)
    drawing.add(String(left, height - 4 * mm, title, fontName=BOLD, fontSize=8, fillColor=_INK))
    drawing.add(
        String(left + chart.width / 2, 2 * mm, below, fontName=FONT, fontSize=7, textAnchor="middle", fillColor=_INK)
    )
    drawing.add(String(0, height - 4 * mm, beside, fontName=FONT, fontSize=7, fillColor=_INK))
    return drawing


def _scale(highest: int) -> tuple[int, int]:
    """The upper end of an axis from zero, and its steps: whole numbers, five at most."""
    step = 1
    while step * 5 < highest:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return max(step, -(-highest // step) * step), step


def _weeks(report: LedgerReportOut, words: Words) -> list[Flowable]:
    labels = [f"{week.monday.isocalendar().week}" for week in report.weeks]
    series = [[getattr(week, name) for week in report.weeks] for name in ("acts", "reads", "refusals")]
    years = sorted({week.week[:4] for week in report.weeks})
    below = f"{words.week} ({' – '.join(dict.fromkeys((years[0], years[-1])))})"
    charts = [
        _bars(f"{words.by_week}: {name}", labels, values, below, words.number, _WIDTH)
        for name, values in zip(words.sorts[:3], series, strict=True)
    ]
    return [Paragraph(words.by_week, _HEADING), *charts]


def _hours(report: LedgerReportOut, words: Words) -> list[Flowable]:
    reads = report.total.reads
    share = f"{report.outside_office_hours * 100 / reads if reads else 0:.1f} %"
    intro = words.hours_intro.format(
        outside=_many(report.outside_office_hours, words),
        reads=_many(reads, words),
        share=share.replace(".", ",") if words is WORDS["nl"] else share,
    )
    labels = [str(hour.hour) for hour in report.hours]
    charts = [
        _bars(name, labels, values, words.hour, words.number, _WIDTH)
        for name, values in (
            (words.working_days, [hour.on_working_days for hour in report.hours]),
            (words.other_days, [hour.on_other_days for hour in report.hours]),
        )
    ]
    return [KeepTogether([Paragraph(words.hours, _HEADING), Paragraph(intro, _TEXT), *charts])]


def _searches(report: LedgerReportOut, words: Words) -> list[Flowable]:
    withdrawn = words.unjustified.format(
        withdrawn=_many(report.withdrawn, words), unjustified=_many(report.withdrawn_as_unjustified, words)
    )
    found: Flowable = Paragraph(words.no_searches, _TEXT)
    if report.searches:
        rows = [(of_code(words, one.purpose), one.count) for one in report.searches]
        found = _table((words.purpose, words.number), rows, words, (3, 1))
    return [KeepTogether([Paragraph(words.desk, _HEADING), found]), Spacer(0, 6), Paragraph(withdrawn, _TEXT)]


def _alerts(report: LedgerReportOut, words: Words) -> list[Flowable]:
    found: Flowable = Paragraph(words.no_alerts, _TEXT)
    if report.alerts:
        rows = [(of_code(words, one.kind), of_code(words, one.state), one.count) for one in report.alerts]
        found = _table((words.alert, words.state, words.number), rows, words, (3, 1, 1))
    return [KeepTogether([Paragraph(words.alerts, _HEADING), found])]


def _samples(report: LedgerReportOut, words: Words) -> list[Flowable]:
    found: Flowable = Paragraph(words.no_samples, _TEXT)
    if report.samples:
        head = (words.month, words.accesses, words.to_sign, *words.findings, words.not_signed)
        rows = [_sample(one, words) for one in report.samples]
        found = _table(head, rows, words, (2, 1.3, 1.5, 1.4, 1.6, 1.4, 1.4))
    return [KeepTogether([Paragraph(words.samples, _HEADING), found])]


def _sample(one: SampleCount, words: Words) -> tuple[str | int | None, ...]:
    if not one.made:  # of how many nobody counted: a nought would say that there were none
        return (f"{one.month} ({words.not_made})", *[None] * 6)
    signed = (one.as_expected, one.asked_the_person, one.not_explained)
    return (one.month, one.accesses, one.size, *signed, one.size - sum(signed))


def _kinds(report: LedgerReportOut, words: Words) -> list[Flowable]:
    sorts = dict(zip(("act", "read", "refusal", "system"), words.sorts, strict=True))
    rows = [
        (f"<font face='{MONO}'>{escape(one.kind)}</font>", sorts[one.sort], one.success, one.refused)
        for one in report.kinds
    ]
    head = (words.kind, words.sort, words.success, words.refused)
    return [Paragraph(words.kinds, _HEADING), *([_table(head, rows, words, (3, 2, 1, 1))] if rows else [])]


def _proof(report: LedgerReportOut, words: Words) -> list[Flowable]:
    dropped = words.dropped.format(before=_many(report.dropped_before, words))
    note = [Paragraph(escape(line), _CODE) if line else Spacer(0, 8) for line in report.checkpoint.note.splitlines()]
    return [
        KeepTogether(
            [
                Paragraph(words.proof, _HEADING),
                Paragraph(words.proof_intro.format(mono=MONO), _TEXT),
                *note,
                Spacer(0, 6),
                Paragraph(dropped if report.dropped_before else words.nothing_dropped, _TEXT),
            ]
        )
    ]
