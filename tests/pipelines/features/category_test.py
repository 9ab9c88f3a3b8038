"""A column of free text is refused by name; one of categories is not."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset, open_whole
from pipelines.features import Category


class FreeTextTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _table(self, texts: list[str], beside: bool) -> str:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.csv"
        age = ("age,", [f"{row}," for row in range(len(texts))])
        header, ages = age if beside else ("", [""] * len(texts))
        lines = [
            f"{age}{text},{row % 2}"
            for row, (age, text) in enumerate(zip(ages, texts, strict=True))
        ]
        path.write_text("\n".join([f"{header}review,liked", *lines]) + "\n")
        return str(path)

    def _open(self, texts: list[str], beside: bool) -> Dataset:
        path = self._table(texts, beside)
        return open_dataset(DataConfig(dataset=path, target="liked", batch_size=2))

    @parameterized.parameters(
        ([f"I liked it {row} times" for row in range(60)], True),
        ([f"I liked it {row} times" for row in range(60)], False),
        # Nearly all different: two rows alike.
        ([f"review {max(row, 1)}" for row in range(60)], True),
        ([f"review {max(row, 1)}" for row in range(60)], False),
        # Most rows have none.
        ([f"note {row}" if row % 5 == 0 else "" for row in range(60)], True),
    )
    def test_is_refused_alone_and_beside_other_columns(
        self, texts: list[str], beside: bool
    ) -> None:
        with self.assertRaisesRegex(
            UserError, r"csv: column 'review' has .* leave it out of the file"
        ) as caught:
            self._open(texts, beside)
        self.assertNotIn("\n", str(caught.exception))

    @parameterized.parameters(
        ([("good", "bad", "so so")[row % 3] for row in range(60)], True),
        # Tickets: most are of one passenger, some of a family.
        ([f"ticket {row if row % 3 else row // 12}" for row in range(60)], True),
        ([f"ticket {row if row % 3 else row // 12}" for row in range(60)], False),
        (["Riga" if row % 9 else "" for row in range(60)], True),
    )
    def test_categories_are_not(self, texts: list[str], beside: bool) -> None:
        dataset = self._open(texts, beside)
        rows = dataset.source.read(dataset.splits["train"])
        learnt = dataset.features.input.statistics(lambda: rows)["columns"][-1]
        self.assertNotEmpty(learnt["vocabulary"])

    def test_other_data_may_hold_new_texts(self) -> None:
        dataset = self._open(["good", "bad"] * 30, beside=True)
        other = self._table([f"never seen {row}" for row in range(10)], beside=True)
        config = DataConfig(dataset=other, target="liked")
        self.assertEqual(open_whole(config, dataset.features).split_sizes, {"all": 10})

    def test_a_column_without_any_text_is_no_free_text(self) -> None:
        Category().check_training(np.array(["", ""], object), "t.csv: column 'a'")


if __name__ == "__main__":
    tf.test.main()
