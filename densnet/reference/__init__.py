"""Reference data: GFN2-xTB sampling and Kohn–Sham labels. Only here is PySCF imported."""
