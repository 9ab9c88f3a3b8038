"""Package metadata: the rooms that install, direct dependencies, the console script.

Dependencies are given here as ranges; requirements.txt holds the exact versions of the
whole closure that is tested.
"""

from setuptools import find_packages, setup

# Named one by one, so that neither tests/ nor benchmarks/ is ever installed.
ROOMS = ("app", "atelier", "base", "models", "pipelines", "tuning")

setup(
    name="atelier",
    version="0.1.0",
    description="A workshop for training neural networks with Keras 3 on TensorFlow 2",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=[name for room in ROOMS for name in (room, f"{room}.*")]
    ),
    install_requires=[
        "absl-py>=2.1,<3",
        "array_record>=0.8,<1",
        "grpcio>=1.60,<2",
        "h5py>=3.11,<4",
        "importlib_resources>=6",  # tensorflow-datasets forgets to require it
        "keras>=3.15.1,<3.16",  # CVE-2026-1669, -1462 and -12481 are fixed there
        "keras-tuner>=1.4.8,<1.5",
        "matplotlib>=3.9,<4",
        "numpy>=2.0,<3",
        "opencv-python-headless>=4.10,<6",
        "optuna>=5,<6",
        "pillow>=11.3",
        "psutil>=6",
        "pyarrow>=18",
        "scikit-learn>=1.5,<2",
        "scipy>=1.13,<2",
        "tensorboard>=2.20,<3",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.9,<5",
        "tqdm>=4.66.3,<5",
    ],
    extras_require={
        "litert": ["ai-edge-litert>=2.1,<3"],
        "serving": ["tensorflow-serving-api>=2.19,<3"],
        "test": [
            "mypy>=1.14",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "types-tqdm",
        ],
    },
    entry_points={"console_scripts": ["atelier = app.main:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Private :: Do Not Upload",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
