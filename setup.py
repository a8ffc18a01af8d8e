"""Build of the package: C++ libraries, what is installed with them, and metadata."""

import sys
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (ROOT / "densnet" / "__init__.py").read_text(encoding="utf-8").splitlines()
    if line.startswith("__version__")
)

# No -march=native: the library must run on every machine of its architecture. Sources that want a
# wider instruction set choose it at run time.
COMPILE_FLAGS = ["/O2"] if sys.platform == "win32" else ["-O3", "-fno-math-errno", "-Wall"]


def extensions() -> list[Pybind11Extension]:
    """Return the C++ libraries, each from its own folders of cpp/."""
    headers = sorted(
        str(path.relative_to(ROOT))
        for pattern in ("*.hpp", "*.h")
        for path in (ROOT / "cpp").rglob(pattern)
    )
    return [
        Pybind11Extension(
            name,
            sorted(
                str(path.relative_to(ROOT))
                for folder in folders
                for path in (ROOT / "cpp" / folder).glob("*.cpp")
            ),
            include_dirs=["cpp/include"],
            depends=headers,
            cxx_std=17,
            extra_compile_args=COMPILE_FLAGS,
        )
        for name, folders in (
            ("densnet.integrals._kernel", ("src", "bindings")),
            ("densnet.nn._convolution", ("convolution",)),
            ("densnet.export._engine", ("engine",)),
        )
    ]


ParallelCompile("NPY_NUM_BUILD_JOBS").install()

setup(
    name="densnet",
    version=VERSION,
    description="Electron-density models for molecular dynamics and spectroscopy with i-PI",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="DenSNet developers",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["densnet", "densnet.*", "ipi_driver", "ipi_driver.*"]),
    package_data={
        "densnet.basis": ["library/*"],
        "densnet.export": ["bundles/**/*"],
        "densnet.simulate": ["inputs/*"],
        "densnet.spectra": ["experiment/*.csv"],
        "densnet": ["py.typed"],
        "ipi_driver": ["py.typed"],
    },
    ext_modules=extensions(),
    cmdclass={"build_ext": build_ext},
    zip_safe=False,
    install_requires=[
        "numpy>=2.0",
        "scipy>=1.11",
        "torch>=2.6",
        "e3nn>=0.5.6",
        "ipi>=3.2",
        "ase>=3.23",
        "h5py>=3.10",
        "pyyaml>=6.0",
        "packaging>=23.0",
        "rich>=13.0",
        "matplotlib>=3.8",
    ],
    extras_require={
        "label": ["pyscf>=2.7", "tblite>=0.4", "cffi>=1.16"],
        "mpi": ["mpi4py>=4.0", "mpich"],
        "test": ["pytest>=8.0", "hypothesis>=6.100"],
        "dev": ["ruff>=0.9", "mypy>=1.14", "types-PyYAML"],
    },
    entry_points={
        "console_scripts": [
            "densnet = densnet.cli.main:main",
            "densnet-driver = ipi_driver.__main__:main",
        ]
    },
)
